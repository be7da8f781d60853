// Which callers are let in.

import BlobCore
import BlobStorage
import HTTPServerCore
import HTTPTypes

/// Finds out who calls, and whether that caller may.
struct Admission: Sendable {
    let authenticator: Authenticator
    /// Whether every change is refused.
    let isReadOnly: Bool
    let audit: Audit?

    /// The caller of a request that asks for a token.
    ///
    /// - Parameter scope: what the token has to allow; `nil` where any token will do.
    /// - Throws: ``WireError`` when the token is missing or does not allow this, ``BlobError`` when nobody can tell.
    func caller(
        of request: Request, with scope: Scope?, isChange: Bool
    ) async throws -> Caller {
        let caller = try await signedIn(request)
        request.record.note("subject", "\(caller.subject)")
        if let token = caller.token { request.record.note("token", token) }
        if let scope, !caller.scopes.contains(scope) {
            throw WireError(.forbidden, "The token lacks the scope '\(scope.rawValue)', which this needs.")
        }
        if isReadOnly && isChange {
            throw WireError(
                .unavailable, "The server is read-only for now. What was acknowledged is safe; try again later."
            )
        }
        if isChange { try audit?.admitChange() }
        return caller
    }

    private func signedIn(_ request: Request) async throws -> Caller {
        do {
            return try await authenticator.caller(secret: Self.bearerToken(request.fields[.authorization] ?? ""))
        } catch {
            await audit?.refused(WireError(thrown: error), to: request.record)
            throw error
        }
    }

    /// The token of an `Authorization: Bearer TOKEN` header (RFC 6750 §2.1; the scheme in either case).
    ///
    /// - Throws: ``WireError`` when the header is missing or of another form.
    static func bearerToken(_ value: String) throws(WireError) -> String {
        let scheme = "bearer "
        let bytes = value.utf8.span
        guard bytes.begins(with: scheme, 0..<bytes.count) else {
            throw WireError(.unauthorized, "This needs a token: send 'Authorization: Bearer TOKEN'.")
        }
        return bytes.text(bytes.trimmed(scheme.utf8.count..<bytes.count))
    }
}
