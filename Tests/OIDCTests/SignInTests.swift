// Whom the tokens of an issuer let in, and whom not.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Crypto
import CryptoExtras
import Foundation
import NIOCore
import Testing

@testable import OIDC

private let forge = Result { try Forge() }

@Suite struct SignInTests {
    private let forge: Forge
    private let server: SignedServer

    init() throws {
        forge = try OIDCTests.forge.get()
        let keys = Array(try forge.keySet.utf8)
        server = try SignedServer { keys }
    }

    // MARK: Who is let in

    @Test(arguments: [
        (#"{"alg":"ES256","kid":"ec"}"#, Forge.Signature.es256), (#"{"alg":"ES384","kid":"ec384"}"#, .es384),
        (#"{"alg":"RS256","kid":"rsa"}"#, .rs256), (#"{"alg":"PS256","kid":"rsa"}"#, .ps256),
        (#"{"alg":"EdDSA","kid":"ed"}"#, .edDSA),
        (#"{"alg":"ES256"}"#, .es256), (#"{"alg":"ES256","kid":"ec","typ":"at+jwt"}"#, .es256),
        (#"{"alg":"ES256","kid":"ec","typ":"JWT","x5t":"abc","made-up":{"x":[1]}}"#, .es256),
    ])
    func everyAlgorithmLetsIn(_ header: String, _ signature: Forge.Signature) async throws {
        let token = try forge.token(header, server.claims(), signature)
        let answer = await server.listFiles(bearer: token)
        #expect(answer.status == 200)
        #expect(answer.notes["subject"] == "https://login.example.com/realms/Kassel ann")
    }

    @Test(arguments: [
        ["exp": "TIME-59"], ["nbf": "TIME+60"], ["exp": "1e300"], ["exp": "TIME.5"], ["nbf": "-1e300"],
        ["aud": #"["other","blobd"]"#], ["sub": "\"" + String(repeating: "x", count: 255) + "\""],
        ["scope": nil, "scp": #"["read"]"#], ["scope": nil, "scp": #""read openid""#], ["scope": #"["read"]"#],
    ])
    func whatIsStillRight(_ changes: [String: String?]) async throws {
        #expect(await server.listFiles(bearer: try ofIssuer(changes)).status == 200)
    }

    /// A token of the issuer; `TIME` stands for now, and what follows it for a sum.
    private func ofIssuer(_ changes: [String: String?]) throws -> String {
        let now = Int(server.clock.now.timeIntervalSince1970)
        let changes = changes.mapValues { value in
            value?.replacing(/TIME([+-]\d+)/) { "\(now + (Int($0.output.1) ?? 0))" }.replacing("TIME", with: "\(now)")
        }
        return try forge.token(#"{"alg":"ES256","kid":"ec"}"#, server.claims(changes), .es256)
    }

    private static let grants: [([String: String?], Set<Scope>)] = [
        (["scope": #""files.write""#], [.upload, .delete]), (["scope": #""READ reading read\u0000""#], []),
        (["scope": #""""#], []), (["scope": nil], []), (["scope": #""openid""#, "scp": #"["read"]"#], []),
        (["scope": #""admin upload delete""#], []),
    ]

    @Test(arguments: grants)
    func theMappingAloneGrants(_ changes: [String: String?], _ scopes: Set<Scope>) async throws {
        let caller = try await server.authenticator.caller(secret: try ofIssuer(changes))
        #expect(caller.scopes == scopes)
    }

    @Test func anotherClaimMayGrant() async throws {
        let keys = Array(try forge.keySet.utf8)
        let server = try SignedServer(scopeClaim: "cognito:groups") { keys }
        let claims = server.claims(["cognito:groups": #"["read"]"#, "scope": #""files.write""#])
        let token = try forge.token(#"{"alg":"ES256","kid":"ec"}"#, claims, .es256)
        #expect(try await server.authenticator.caller(secret: token).scopes == [.read])
    }

    @Test func theStandardMappingHasWordsOfItsOwn() {
        #expect(ScopeMapping.standard.scopes(of: ["read", "admin", "blobd:read", "BLOBD:admin"]) == [.read])
        let all = ["blobd:upload", "blobd:read", "blobd:delete", "blobd:admin"]
        #expect(ScopeMapping.standard.scopes(of: all) == Set(Scope.allCases))
    }

    @Test func noScopeIsForbidden() async throws {
        #expect(await server.listFiles(bearer: try ofIssuer(["scope": nil])).status == 403)
    }

    @Test func aTokenOfTheCatalogIsStillOne() async throws {
        let token = AccessToken(name: "phone", scopes: [.read], created: server.clock.now, expires: nil)
        try server.catalog.createToken(token, secretDigest: BlobDigest(of: "secret".utf8))
        let answer = await server.listFiles(bearer: "secret")
        #expect(answer.status == 200)
        #expect(answer.notes["subject"] == "phone")
        #expect(await server.listFiles(bearer: "another").notes["refused"] == "unknown")
    }

    // MARK: Who is not

    struct Attack: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let fault: TokenFault
        let token: @Sendable (Forge, SignedServer) throws -> String

        init(
            _ description: String, _ fault: TokenFault,
            _ token: @escaping @Sendable (Forge, SignedServer) throws -> String
        ) {
            (testDescription, self.fault, self.token) = (description, fault, token)
        }

        /// A header of one's own, over claims that are right.
        static func header(
            _ description: String, _ fault: TokenFault, _ header: String, _ signature: Forge.Signature = .es256
        ) -> Attack {
            Attack(description, fault) { try $0.token(header, $1.claims(), signature) }
        }

        /// Claims that the issuer has signed.
        static func claims(_ description: String, _ fault: TokenFault, _ changes: [String: String?]) -> Attack {
            Attack(description, fault) { forge, server in
                try forge.token(#"{"alg":"ES256","kid":"ec"}"#, server.claims(changes), .es256)
            }
        }

        /// The text of a good token, changed.
        static func text(
            _ description: String, _ fault: TokenFault, _ change: @escaping @Sendable (String) -> String
        ) -> Attack {
            Attack(description, fault) { forge, server in
                change(try forge.token(#"{"alg":"ES256","kid":"ec"}"#, server.claims(), .es256))
            }
        }
    }

    static let unsigned = ["none", "None", "NONE", "nOnE", ""].map { name in
        Attack.header("alg: \(name)", .algorithm, #"{"alg":"\#(name)"}"#, .bytes([]))
    }

    static let confused: [Attack] = [
        Attack("HS256 with the public key of RSA as its secret", .algorithm) { forge, server in
            let secret = Array(forge.rsa.publicKey.pemRepresentation.utf8)
            return try forge.token(#"{"alg":"HS256","kid":"rsa"}"#, server.claims(), .hs256(secret: secret))
        },
        Attack("HS256 with the shown key of P-256 as its secret", .algorithm) { forge, server in
            let secret = Array(forge.es256.publicKey.rawRepresentation)
            return try forge.token(#"{"alg":"HS256","kid":"ec"}"#, server.claims(), .hs256(secret: secret))
        },
        .header(
            "HS256 with the secret that the set shows", .algorithm, #"{"alg":"HS256","kid":"shared"}"#,
            .hs256(secret: Array("secret".utf8))),
        .header("an algorithm that is not taken", .algorithm, #"{"alg":"RS512","kid":"rsa"}"#, .rs256),
        .header("an algorithm that nobody knows", .algorithm, #"{"alg":"ES256K","kid":"ec"}"#),
        .header("RS256 said of a key of P-256", .key, #"{"alg":"RS256","kid":"ec"}"#),
        .header("ES384 said of a key of P-256", .key, #"{"alg":"ES384","kid":"ec"}"#),
        .header("PS256 said of RS256", .signature, #"{"alg":"PS256","kid":"rsa"}"#, .rs256),
        .header("RS256 said of PS256", .signature, #"{"alg":"RS256","kid":"rsa"}"#, .ps256),
        .header("another key's id", .signature, #"{"alg":"EdDSA","kid":"ed"}"#),
        .header("a key that is for secrets", .key, #"{"alg":"RS256","kid":"for secrets"}"#, .rs256),
        .header("a key that nobody has", .key, #"{"alg":"ES256","kid":"../../etc/passwd"}"#),
        .header("no key at all", .key, #"{"alg":"ES256","kid":""}"#),
    ]

    static let demanding: [Attack] = [
        .header("crit", .header, #"{"alg":"ES256","kid":"ec","crit":["exp"],"exp":1}"#),
        .header("crit of b64", .header, #"{"alg":"ES256","kid":"ec","crit":["b64"],"b64":false}"#),
        .header("crit of nothing", .header, #"{"alg":"ES256","kid":"ec","crit":null}"#),
        Attack("the token's own jwk", .header) { _, server in
            let other = P256.Signing.PrivateKey()
            let point = other.publicKey.rawRepresentation
            let jwk = """
                {"kty":"EC","crv":"P-256","x":"\(Forge.base64URL(point.prefix(32)))",\
                "y":"\(Forge.base64URL(point.suffix(32)))"}
                """
            let signed = [#"{"alg":"ES256","jwk":\#(jwk)}"#, server.claims()].map { Forge.base64URL($0.utf8) }
                .joined(separator: ".")
            let signature = try other.signature(for: Data(signed.utf8)).rawRepresentation
            return "\(signed).\(Forge.base64URL(signature))"
        },
        .header("jku", .header, #"{"alg":"ES256","kid":"ec","jku":"http://127.0.0.1:1/keys"}"#),
        .header("x5u", .header, #"{"alg":"ES256","kid":"ec","x5u":"https://example.com/c.pem"}"#),
        .header("x5c", .header, #"{"alg":"ES256","kid":"ec","x5c":["MIIB"]}"#),
        .header("to sign somebody out", .type, #"{"alg":"ES256","kid":"ec","typ":"logout+jwt"}"#),
        .header("a proof of another protocol", .type, #"{"alg":"ES256","kid":"ec","typ":"dpop+jwt"}"#),
    ]

    static let signatures: [Attack] = [
        .header("no signature", .signature, #"{"alg":"ES256","kid":"ec"}"#, .bytes([])),
        .header(
            "a signature of zeros", .signature, #"{"alg":"ES256","kid":"ec"}"#, .bytes(Array(repeating: 0, count: 64))),
        .header("a short signature of RSA", .signature, #"{"alg":"RS256","kid":"rsa"}"#, .bytes([1])),
        .header(
            "a long signature of RSA", .signature, #"{"alg":"RS256","kid":"rsa"}"#,
            .bytes(Array(repeating: 255, count: 4000))),
        .header("a short signature of Ed25519", .signature, #"{"alg":"EdDSA","kid":"ed"}"#, .bytes([1])),
        Attack("a signature in DER", .signature) { forge, server in
            let signed = [#"{"alg":"ES256","kid":"ec"}"#, server.claims()].map { Forge.base64URL($0.utf8) }
                .joined(separator: ".")
            return "\(signed).\(Forge.base64URL(try forge.es256.signature(for: Data(signed.utf8)).derRepresentation))"
        },
        Attack("claims that were exchanged", .signature) { forge, server in
            let own = try forge.token(#"{"alg":"ES256","kid":"ec"}"#, server.claims(), .es256).split(separator: ".")
            return "\(own[0]).\(Forge.base64URL(server.claims(["sub": #""bob""#]).utf8)).\(own[2])"
        },
    ]

    static let texts: [Attack] = [
        .text("a space in it", .malformed) { $0.replacing(".", with: ". ", maxReplacements: 1) },
        .text("padding", .malformed) { $0 + "=" },
        .text("the other alphabet", .malformed) { "+" + $0.dropFirst() },
        .text("two parts", .malformed) { String($0[..<($0.lastIndex(of: ".") ?? $0.endIndex)]) },
        .text("four parts", .malformed) { $0 + "." },
        .text("five parts, as an encrypted one has", .malformed) { $0 + ".AAAA.AAAA" },
        .text("dots alone", .malformed) { _ in ".." },
        .text("a thousand dots", .malformed) { _ in String(repeating: ".", count: 1000) },
        .text("a header that is no object", .malformed) { "W10" + $0[($0.firstIndex(of: ".") ?? $0.startIndex)...] },
        .text("no letters of ASCII", .malformed) { "é" + $0 },
        .text("longer than any", .oversize) { $0 + String(repeating: "A", count: 8192) },
        .header("no algorithm", .malformed, #"{"kid":"ec"}"#),
        .header("an algorithm that is a number", .malformed, #"{"alg":256,"kid":"ec"}"#),
        .header("an id that is an object", .malformed, #"{"alg":"ES256","kid":{"a":1}}"#),
        .header("a header without end", .malformed, #"{"alg":"ES256""#),
        .header("a deep header", .malformed, String(repeating: "[", count: 3000)),
    ]

    static let claims: [Attack] = [
        .claims("no exp", .endless, ["exp": nil]), .claims("exp: null", .endless, ["exp": "null"]),
        .claims("exp as text", .malformed, ["exp": #""9999999999""#]),
        .claims("exp beyond every number", .malformed, ["exp": "1e999"]),
        .claims("exp: true", .malformed, ["exp": "true"]),
        .claims("over", .expired, ["exp": "1749999940"]), .claims("long over", .expired, ["exp": "-1e300"]),
        .claims("over at 0", .expired, ["exp": "0"]),
        .claims("not yet", .early, ["nbf": "1750000061"]), .claims("never", .early, ["nbf": "1e300"]),
        .claims("nbf as text", .malformed, ["nbf": #""now""#]),
        .claims("no issuer", .issuer, ["iss": nil]),
        .claims("another issuer", .issuer, ["iss": #""https://login.example.com""#]),
        .claims("the issuer and more", .issuer, ["iss": #""https://login.example.com/realms/Kassel/""#]),
        .claims(
            "an issuer that is equal as text", .issuer, ["iss": #""https://login.example.com/realms/\u212Aassel""#]),
        .claims("issuers", .malformed, ["iss": #"["https://login.example.com/realms/Kassel"]"#]),
        .claims("no audience", .audience, ["aud": nil]), .claims("another audience", .audience, ["aud": #""blobd2""#]),
        .claims("audiences of others", .audience, ["aud": #"["a","BLOBD"]"#]),
        .claims("an empty list", .audience, ["aud": "[]"]), .claims("aud: 1", .malformed, ["aud": "1"]),
        .claims("no subject", .subject, ["sub": nil]), .claims("an empty subject", .subject, ["sub": #""""#]),
        .claims("a subject with a line of its own", .subject, ["sub": #""ann\nroot""#]),
        .claims("a subject with NUL", .subject, ["sub": #""ann\u0000""#]),
        .claims("a subject beyond ASCII", .subject, ["sub": #""änn""#]),
        .claims("a long subject", .subject, ["sub": "\"" + String(repeating: "x", count: 256) + "\""]),
        .claims("a scope that is an object", .malformed, ["scope": #"{"read":true}"#]),
        Attack("claims that are no object", .malformed) { forge, _ in
            try forge.token(#"{"alg":"ES256","kid":"ec"}"#, "[]", .es256)
        },
        Attack("claims that are no UTF-8", .malformed) { forge, _ in
            let signed = "\(Forge.base64URL(#"{"alg":"ES256","kid":"ec"}"#.utf8)).\(Forge.base64URL([0xFF, 0xC0]))"
            let signature = try forge.es256.signature(for: Data(signed.utf8)).rawRepresentation
            return "\(signed).\(Forge.base64URL(signature))"
        },
        Attack("deep claims", .malformed) { forge, _ in
            try forge.token(#"{"alg":"ES256","kid":"ec"}"#, String(repeating: #"{"a":"#, count: 1100), .es256)
        },
    ]

    @Test(arguments: unsigned + confused + demanding + signatures + texts + claims)
    func anAttackIsRefused(_ attack: Attack) async throws {
        let answer = await server.listFiles(bearer: try attack.token(forge, server))
        #expect(answer.status == 401)
        #expect(answer.notes["refused"] == "\(attack.fault.rawValue)")
        #expect(answer.notes["subject"] == nil)
    }

    @Test func onlyTheAlgorithmsOfTheSettingsAreTaken() async throws {
        let keys = Array(try forge.keySet.utf8)
        let server = try SignedServer(algorithms: [.edDSA]) { keys }
        let token = try forge.token(#"{"alg":"ES256","kid":"ec"}"#, server.claims(), .es256)
        #expect(await server.listFiles(bearer: token).notes["refused"] == "algorithm")
        let other = try forge.token(#"{"alg":"EdDSA","kid":"ed"}"#, server.claims(), .edDSA)
        #expect(await server.listFiles(bearer: other).status == 200)
    }

    // MARK: How long

    private actor Once {
        private var chunk: [ByteBuffer]?
        private let before: @Sendable () -> Void

        init(_ text: String, before: @escaping @Sendable () -> Void) {
            chunk = [ByteBuffer(string: text)]
            self.before = before
        }

        func next() -> [ByteBuffer]? {
            defer { chunk = nil }
            if chunk != nil { before() }
            return chunk
        }
    }

    @Test func aTokenThatExpiresEndsTheAppendThatRuns() async throws {
        let token = try ofIssuer(["scope": #""files.write""#])
        let caller = try await server.authenticator.caller(secret: token)
        let upload = try await server.uploads.initiate(owner: caller.subject, name: nil, isTemporary: false)
        // A checkpoint comes with the 32nd MiB.
        let source = Once(String(repeating: "x", count: 32 << 20)) { [clock = server.clock] in
            clock.advance(by: .seconds(3660))
        }
        await #expect(throws: BlobError(.tokenInvalid(.expired))) {
            let body = IncomingBody(length: nil) { await source.next() }
            _ = try await server.uploads.append(body, to: upload.id, of: caller, guarded: nil)
        }
    }
}
