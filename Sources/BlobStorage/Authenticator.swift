// Who calls: from the secret of a bearer token to a caller.

public import BlobCore
import Foundation
import Synchronization

/// Checks access tokens.
public struct Authenticator: Sendable {
    /// Finds the caller of a token that somebody else signed.
    public typealias SignedTokens = @Sendable (_ token: String) async throws(BlobError) -> Caller

    private let catalog: any Catalog
    private let clock: any WallClock
    private let signedTokens: SignedTokens?
    private let uses = TokenUses()

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

        let digest = BlobDigest(of: secret.utf8)
        guard let token = try await catalog.token(secretDigest: digest) else {
            throw BlobError(.tokenInvalid(.unknown))
        }
        if let end = token.expires, end <= clock.now { throw BlobError(.tokenInvalid(.expired)) }
        noteUse(of: token, digest)
        return Caller(subject: token.subject, scopes: token.scopes, token: token.name) { () throws(BlobError) in
            try await caller(secret: secret)
        }
    }

    /// Has the use of a token recorded, once an hour. Nobody waits for it, and where it fails nobody is worse off than
    /// an administrator who looks for tokens that are not used any more.
    private func noteUse(of token: AccessToken, _ digest: BlobDigest) {
        let hour = Date(timeIntervalSince1970: (clock.now.timeIntervalSince1970 / 3600).rounded(.down) * 3600)
        guard token.lastUsed.map({ $0 < hour }) ?? true, uses.isFirst(of: digest, in: hour) else { return }
        Task { [catalog] in try? await catalog.recordUse(ofToken: digest, in: hour) }
    }
}

/// The tokens whose use in this hour is being recorded, so that no two requests do.
final class TokenUses: Sendable {
    private let noted = Mutex<(hour: Date, tokens: Set<BlobDigest>)>((.distantPast, []))

    func isFirst(of digest: BlobDigest, in hour: Date) -> Bool {
        noted.withLock { noted in
            if noted.hour != hour { noted = (hour, []) }
            return noted.tokens.insert(digest).inserted
        }
    }
}
