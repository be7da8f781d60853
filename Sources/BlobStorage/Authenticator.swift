// Who calls: from the secret of a bearer token to a caller.

public import BlobCore

/// Checks access tokens.
public struct Authenticator: Sendable {
    private let catalog: any Catalog
    private let clock: any WallClock

    public init(catalog: any Catalog, clock: any WallClock) {
        self.catalog = catalog
        self.clock = clock
    }

    /// The caller that a token speaks for. Asks the catalog every time, so that a revocation holds at once: also when a
    /// request is under way, and the caller is confirmed.
    ///
    /// - Throws: ``BlobError/Reason/tokenInvalid`` for an unknown, revoked or expired token.
    public func caller(secret: String) async throws(BlobError) -> Caller {
        guard let token = try await catalog.token(secretDigest: BlobDigest(of: secret.utf8)),
            token.expires.map({ $0 > clock.now }) ?? true
        else {
            throw BlobError(.tokenInvalid)
        }
        return Caller(subject: token.subject, scopes: token.scopes, token: token.name) { () throws(BlobError) in
            try await caller(secret: secret)
        }
    }
}
