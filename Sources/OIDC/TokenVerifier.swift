// From a token that an issuer signed to a caller.

public import BlobCore
public import BlobStorage
import Foundation
import JWTKit

/// Lets in who shows a token that the issuer of a policy signed (RFC 7519, RFC 8725, RFC 9068).
public struct TokenVerifier: Sendable {
    private let policy: TokenPolicy
    private let keys: KeySource
    private let clock: any WallClock

    public init(policy: TokenPolicy, keys: KeySource, clock: any WallClock) {
        self.policy = policy
        self.keys = keys
        self.clock = clock
    }

    /// The caller that a token speaks for. A signature takes longer to check than an event loop may be held up, so the
    /// work is done elsewhere.
    ///
    /// - Throws: ``BlobError/Reason/tokenInvalid(_:)``; and ``BlobError/Reason/unavailable(_:)`` while no key of the
    ///   issuer is known.
    public func caller(token: String) async throws(BlobError) -> Caller {
        try await withTaskExecutorPreference(globalConcurrentExecutor) { () async throws(BlobError) in
            let (subject, scopes) = try await verified(token)
            return Caller(subject: subject, scopes: scopes) { () throws(BlobError) in try await caller(token: token) }
        }
    }

    private func verified(_ text: String) async throws(BlobError) -> (Subject, Set<Scope>) {
        let token = try refusing { () throws(TokenFault) in
            try SignedToken(parsing: text, algorithms: policy.algorithms)
        }
        let key = try await keys.verifier(by: token.algorithm, key: token.keyID)
        return try refusing { () throws(TokenFault) in
            guard (try? key.verify(token.signature, signs: Array(token.signed))) == true else { throw .signature }
            let claims = try Claims(of: token, granting: policy.grantingClaims)
            return (try claims.subject(by: policy, now: clock.now), policy.scopes.scopes(of: claims.granted))
        }
    }

    private func refusing<Result>(_ body: () throws(TokenFault) -> Result) throws(BlobError) -> Result {
        do {
            return try body()
        } catch {
            throw BlobError(.tokenInvalid(error))
        }
    }
}
