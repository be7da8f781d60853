// Who is let in.

import BlobCore
import BlobStorage
import HTTPServerCore
import HTTPTypes

/// Finds out who calls, and whether that caller may.
struct Admission: Sendable {
    let authenticator: Authenticator
    /// Whether every change is refused.
    let isReadOnly: Bool

    /// The caller of a request that asks for a token.
    ///
    /// - Parameter scope: what the token has to allow; `nil` where any token will do.
    /// - Throws: ``BlobError/Code/unauthorized``, ``BlobError/Code/forbidden``, ``BlobError/Code/unavailable``.
    func caller(
        of request: Request, with scope: Scope?, isChange: Bool
    ) async throws(BlobError) -> Caller {
        let caller = try await authenticator.caller(secret: bearerToken(request.fields))
        request.record.note("subject", "\(caller.subject)")
        if let scope, !caller.scopes.contains(scope) {
            throw BlobError(.forbidden, "The token lacks the scope '\(scope.rawValue)', which this needs.")
        }
        if isReadOnly && isChange {
            throw BlobError(
                .unavailable, "The server is read-only for now. What was acknowledged is safe; try again later."
            )
        }
        return caller
    }

    /// The token of an `Authorization: Bearer TOKEN` header (RFC 6750 §2.1; the scheme in either case).
    ///
    /// - Throws: ``BlobError/Code/unauthorized`` when the header is missing or of another form.
    private func bearerToken(_ fields: HTTPFields) throws(BlobError) -> String {
        let scheme = "bearer "
        guard let value = fields[.authorization], value.prefix(scheme.count).lowercased() == scheme else {
            throw BlobError(.unauthorized, "This needs a token: send 'Authorization: Bearer TOKEN'.")
        }
        return value.dropFirst(scheme.count).trimmingPrefix { $0 == " " }.description
    }
}
