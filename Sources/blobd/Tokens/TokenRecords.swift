// Tokens that are made and revoked, and the records of it.

import BlobCore
import BlobStorage

extension Catalog {
    /// Makes a token. One whose record cannot be kept is revoked again: nobody has its secret yet.
    ///
    /// - Throws: ``BlobError/Reason/tokenTaken``, ``BlobError/Unavailability/auditUnwritable``.
    func create(
        _ token: AccessToken, _ secret: TokenSecret, recordedIn log: (any AuditLog)?
    ) async throws(BlobError) {
        try await createToken(token, secretDigest: secret.digest)
        guard let log, await !log.append(AuditRecord(.tokenCreated, token)) else { return }
        _ = try await revoke(token.name, recordedIn: log)
        throw BlobError(.unavailable(.auditUnwritable))
    }

    /// Revokes a token.
    ///
    /// - Returns: whether there was one of this name.
    /// - Throws: ``BlobError/Unavailability/auditUnwritable`` when it is revoked and has no record yet.
    func revoke(_ name: String, recordedIn log: (any AuditLog)?) async throws(BlobError) -> Bool {
        let token = log == nil ? nil : try await tokens().first { $0.name == name }
        guard try await revokeToken(named: name) else { return false }
        guard let log, let token else { return true }
        guard await log.append(AuditRecord(.tokenRevoked, token)) else {
            throw BlobError(.unavailable(.auditUnwritable))
        }
        return true
    }
}
