// Who calls: from the secret of a bearer token to a caller.

public import BlobCore

/// Checks access tokens.
public struct Authenticator: Sendable {
    /// Finds the caller of a token that somebody else signed.
    public typealias SignedTokens = @Sendable (_ token: String) async throws(BlobError) -> Caller

    private let catalog: any Catalog
    private let clock: any WallClock
    private let signedTokens: SignedTokens?

    /// - Parameter signedTokens: takes the tokens that are none of the catalog; `nil` where there are no others.
    public init(catalog: any Catalog, clock: any WallClock, signedTokens: SignedTokens? = nil) {
        self.catalog = catalog
        self.clock = clock
        self.signedTokens = signedTokens
    }

    /// The caller that a token speaks for. Looks every time, so that a revocation holds at once: also when a request is
    /// under way, and the caller is confirmed.
    ///
    /// - Throws: ``BlobError/Reason/tokenInvalid(_:)`` for a token that lets nobody in.
    public func caller(secret: String) async throws(BlobError) -> Caller {
        // Every JSON Web Token has dots (RFC 7519 §3), and no secret of the catalog has one.
        if let signedTokens, secret.utf8.contains(UInt8(ascii: ".")) { return try await signedTokens(secret) }

        guard let token = try await catalog.token(secretDigest: BlobDigest(of: secret.utf8)) else {
            throw BlobError(.tokenInvalid(.unknown))
        }
        if let end = token.expires, end <= clock.now { throw BlobError(.tokenInvalid(.expired)) }
        return Caller(subject: token.subject, scopes: token.scopes, token: token.name) { () throws(BlobError) in
            try await caller(secret: secret)
        }
    }
}
