// The rules of a catalog's secrets: its key, and the tokens of callers.

import BlobCore
import BlobStorage
import Foundation
import Testing

/// A catalog's promises about its key and about tokens.
public enum TokenRule: String, CaseIterable, Sendable {
    /// The key has 32 bytes, is not all one byte, and stays the same.
    case keyHas32BytesAndStays
    /// A token is found by its secret's digest, as it was given.
    case tokenIsFoundByItsSecret
    /// Several tokens may have one subject, which may be another's name; each is revoked by its own name.
    case tokensMayShareASubject
    /// A secret that was never recorded finds nothing.
    case unknownSecretFindsNothing
    /// A token is found also when it has expired: the caller compares.
    case expiredTokenIsFound
    /// A name that is taken is refused, and its token stays as it is.
    case takenNameIsRefused
    /// A secret that is taken is refused, and its token stays as it is.
    case takenSecretIsRefused
    /// The last hour of a token's use is kept, never an earlier one; that of another token, or of none, stays.
    case lastUseIsKept
    /// All tokens are listed in the order of their names.
    case tokensAreListedByName
    /// A revoked token is not found, and its name is free again.
    case revokedTokenIsGone
    /// Revoking a name that no token has tells so.
    case revokingUnknownNameTellsSo

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .keyHas32BytesAndStays: try await trial.keyHas32BytesAndStays()
        case .tokenIsFoundByItsSecret: try await trial.tokenIsFoundByItsSecret()
        case .tokensMayShareASubject: try await trial.tokensMayShareASubject()
        case .unknownSecretFindsNothing: try await trial.unknownSecretFindsNothing()
        case .expiredTokenIsFound: try await trial.expiredTokenIsFound()
        case .takenNameIsRefused: try await trial.takenNameIsRefused()
        case .takenSecretIsRefused: try await trial.takenSecretIsRefused()
        case .lastUseIsKept: try await trial.lastUseIsKept()
        case .tokensAreListedByName: try await trial.tokensAreListedByName()
        case .revokedTokenIsGone: try await trial.revokedTokenIsGone()
        case .revokingUnknownNameTellsSo: try await trial.revokingUnknownNameTellsSo()
        }
    }
}

extension CatalogTrial {
    /// Records a token whose secret is its name.
    private func addToken(
        _ name: String, subject: Subject? = nil, scopes: Set<Scope> = [.upload], lifetime: Duration? = nil
    ) async throws -> AccessToken {
        let token = AccessToken(
            name: name, subject: subject, scopes: scopes, created: clock.now,
            expires: lifetime.map { clock.time(in: $0) }
        )
        try await catalog.createToken(token, secretDigest: BlobDigest(ofText: name))
        return token
    }

    private func token(_ secret: String) async throws -> AccessToken? {
        try await catalog.token(secretDigest: BlobDigest(ofText: secret))
    }

    fileprivate func keyHas32BytesAndStays() async throws {
        let key = try await catalog.secret()
        #expect(key.count == 32)
        #expect(Set(key).count > 1)
        _ = try await add("text")
        clock.advance(by: .seconds(3600))
        #expect(try await catalog.secret() == key)
    }

    fileprivate func tokenIsFoundByItsSecret() async throws {
        for scopes in [[], [Scope.read], Set(Scope.allCases)] {
            let token = try await addToken("token \(scopes.count)", scopes: scopes)
            #expect(try await self.token(token.name) == token)
        }
        let temporary = try await addToken("temporary", lifetime: .seconds(60))
        #expect(try await token("temporary") == temporary)
    }

    fileprivate func tokensMayShareASubject() async throws {
        let old = try await addToken("phone")
        let new = try await addToken("phone-2026", subject: Subject("phone"))
        #expect(try await token("phone")?.subject == Subject("phone"))
        #expect(try await token("phone-2026") == new)
        #expect(new.subject == old.subject)
        #expect(try await catalog.tokens() == [old, new])
        #expect(try await catalog.revokeToken(named: "phone"))
        #expect(try await catalog.tokens() == [new])
        // The name is free, and is again that of a subject.
        #expect(try await addToken("phone", scopes: [.read]).subject == new.subject)
    }

    fileprivate func unknownSecretFindsNothing() async throws {
        _ = try await addToken("token")
        #expect(try await token("another") == nil)
    }

    fileprivate func expiredTokenIsFound() async throws {
        let expired = try await addToken("token", lifetime: .seconds(60))
        clock.advance(by: .seconds(3600))
        _ = try await catalog.removeExpired(limit: 10)
        #expect(try await token("token") == expired)
        #expect(try await catalog.tokens() == [expired])
    }

    fileprivate func takenNameIsRefused() async throws {
        let first = try await addToken("token", scopes: [.read])
        let second = AccessToken(name: "token", scopes: [.admin], created: clock.now, expires: nil)
        let secret = BlobDigest(ofText: "another secret")
        await expectError(.tokenTaken) { try await catalog.createToken(second, secretDigest: secret) }
        #expect(try await catalog.token(secretDigest: secret) == nil)
        #expect(try await token("token") == first)
        #expect(try await catalog.tokens() == [first])
    }

    fileprivate func takenSecretIsRefused() async throws {
        let first = try await addToken("token", scopes: [.read])
        let second = AccessToken(name: "another", scopes: [.admin], created: clock.now, expires: nil)
        await expectError(.tokenTaken) {
            try await catalog.createToken(second, secretDigest: BlobDigest(ofText: "token"))
        }
        #expect(try await token("token") == first)
        #expect(try await catalog.tokens() == [first])
    }

    fileprivate func lastUseIsKept() async throws {
        var (used, other) = (try await addToken("used"), try await addToken("other"))
        let hours = (0..<3).map { Date(timeIntervalSince1970: 1_749_999_600 + 3600 * Double($0)) }
        for (hour, last) in [(0, 0), (0, 0), (2, 2), (1, 2)] {
            try await catalog.recordUse(ofToken: BlobDigest(ofText: "used"), in: hours[hour])
            used.lastUsed = hours[last]
            #expect(try await token("used") == used)
        }
        other.lastUsed = hours[1]
        try await catalog.recordUse(ofToken: BlobDigest(ofText: "other"), in: hours[1])
        try await catalog.recordUse(ofToken: BlobDigest(ofText: "none"), in: hours[1])
        #expect(try await catalog.tokens() == [other, used])
        let given = AccessToken(
            name: "given", scopes: [.read], created: clock.now, expires: clock.time(in: .seconds(60)),
            lastUsed: hours[0])
        try await catalog.createToken(given, secretDigest: BlobDigest(ofText: "given"))
        #expect(try await token("given") == given)
    }

    fileprivate func tokensAreListedByName() async throws {
        #expect(try await catalog.tokens() == [])
        for name in ["b", "a", "C", "10", "é", "a b"] { _ = try await addToken(name) }
        #expect(try await catalog.tokens().map(\.name) == ["10", "C", "a", "a b", "b", "é"])
    }

    fileprivate func revokedTokenIsGone() async throws {
        _ = try await addToken("token")
        let other = try await addToken("other")
        #expect(try await catalog.revokeToken(named: "token"))
        #expect(try await token("token") == nil)
        #expect(try await catalog.tokens() == [other])
        #expect(try await catalog.revokeToken(named: "token") == false)
        let anew = try await addToken("token", scopes: [.delete])
        #expect(try await token("token") == anew)
    }

    fileprivate func revokingUnknownNameTellsSo() async throws {
        let token = try await addToken("token")
        for name in ["unknown", "", "Token", "toke%"] {
            #expect(try await catalog.revokeToken(named: name) == false)
        }
        #expect(try await catalog.tokens() == [token])
    }
}
