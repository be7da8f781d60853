// What a token has to be, to let somebody in.

import BlobCore

/// Whose tokens are taken, and what they allow.
public struct TokenPolicy: Sendable {
    /// Compared with the claim `iss`, byte by byte. It holds no space.
    let issuer: String
    /// Has to be among those of the claim `aud`.
    let audience: String
    let algorithms: Set<SigningAlgorithm>
    /// The claims that grant, of which the first counts that a token has.
    let grantingClaims: [String]
    let scopes: ScopeMapping

    /// - Parameter scopeClaim: the claim that grants; `nil` for `scope` (RFC 8693 §4.2), and `scp` where that is not
    ///   there.
    public init(
        issuer: String, audience: String, algorithms: Set<SigningAlgorithm>, scopeClaim: String?, scopes: ScopeMapping
    ) {
        self.issuer = issuer
        self.audience = audience
        self.algorithms = algorithms
        grantingClaims = scopeClaim.map { [$0] } ?? ["scope", "scp"]
        self.scopes = scopes
    }
}

/// What the words of an issuer allow here.
public struct ScopeMapping: Sendable, Equatable {
    private let scopes: [String: Set<Scope>]

    /// Reads `WORD=SCOPE,WORD=SCOPE`. A word may stand there several times, and hold an equals sign itself.
    ///
    /// - Returns: `nil` for another form: a word is visible characters of ASCII but commas.
    public init?(parsing text: String) {
        var scopes: [String: Set<Scope>] = [:]
        for pair in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let sign = pair.lastIndex(of: "="), let scope = Scope(rawValue: String(pair[sign...].dropFirst()))
            else { return nil }
            let word = pair[..<sign]
            guard !word.isEmpty, word.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
            scopes[String(word), default: []].insert(scope)
        }
        self.scopes = scopes
    }

    /// Words that no issuer uses for anything else: a token for several servers may hold a plain `read` for another.
    public static let standard = ScopeMapping(
        scopes: Dictionary(uniqueKeysWithValues: Scope.allCases.map { ("blobd:\($0)", [$0]) }))

    private init(scopes: [String: Set<Scope>]) { self.scopes = scopes }

    func scopes(of words: [String]) -> Set<Scope> {
        words.reduce(into: []) { $0.formUnion(scopes[$1] ?? []) }
    }
}
