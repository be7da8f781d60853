// The public keys of an issuer.

import Foundation
import JWTKit

/// A JSON Web Key Set (RFC 7517 §5), as far as it is of use here.
///
/// Keys that are not are passed over, as §5 asks for: those of other types, curves, uses and algorithms, and those that
/// are no keys at all. A private part is not looked at.
struct KeySet: Sendable {
    private struct Key {
        let id: String?
        let algorithm: SigningAlgorithm
        let verifier: any JWTAlgorithm
    }

    /// A key that serves several algorithms is there for each.
    private let keys: [Key]

    /// More keys than any issuer shows.
    private static let longest = 100

    /// - Throws: when the text is no key set, or one of too many keys.
    init(json: [UInt8], algorithms: Set<SigningAlgorithm>) async throws {
        let shown = try JSONDecoder().decode(ShownKeys.self, from: Data(json)).keys
        guard shown.count <= Self.longest else { throw KeySetFault.tooMany }
        var keys: [Key] = []
        for shown in shown.compactMap(\.key) where shown.isForSignatures {
            for algorithm in SigningAlgorithm.allCases where algorithms.contains(algorithm) && shown.fits(algorithm) {
                guard let verifier = try? await shown.verifier(by: algorithm) else { continue }
                keys.append(Key(id: shown.kid, algorithm: algorithm, verifier: verifier))
            }
        }
        self.keys = keys
    }

    var isEmpty: Bool { keys.isEmpty }

    /// - Parameter id: the header `kid`. A token without one is of the only key that its algorithm has.
    func verifier(by algorithm: SigningAlgorithm, key id: String?) -> (any JWTAlgorithm)? {
        let fitting = keys.filter { $0.algorithm == algorithm && (id == nil || $0.id == id) }
        return id == nil && fitting.count > 1 ? nil : fitting.first?.verifier
    }
}

enum KeySetFault: Error, CustomStringConvertible {
    case tooMany

    var description: String { "it holds more keys than any issuer has" }
}

private struct ShownKeys: Decodable {
    let keys: [PassedOver<ShownKey>]
}

/// What is passed over where it is not of the form.
private struct PassedOver<Value: Decodable>: Decodable {
    let key: Value?

    init(from decoder: any Decoder) { key = try? Value(from: decoder) }
}

/// A JSON Web Key (RFC 7517 §4) with its parts of RFC 7518 §6 and RFC 8037 §2.
private struct ShownKey: Decodable {
    let kty: String
    let kid: String?
    let use: String?
    let keyOperations: [String]?
    let alg: String?
    let crv: String?
    let n: String?
    let e: String?
    let x: String?
    let y: String?

    enum CodingKeys: String, CodingKey {
        case kty, kid, use, alg, crv, n, e, x, y
        case keyOperations = "key_ops"
    }

    var isForSignatures: Bool { (use ?? "sig") == "sig" && (keyOperations ?? ["verify"]).contains("verify") }

    /// A key is good for the one algorithm that it names, or for each that it has the form for.
    func fits(_ algorithm: SigningAlgorithm) -> Bool {
        guard (alg ?? algorithm.rawValue) == algorithm.rawValue else { return false }
        return switch algorithm {
        case .es256: (kty, crv) == ("EC", "P-256")
        case .es384: (kty, crv) == ("EC", "P-384")
        case .rs256, .ps256: kty == "RSA"
        case .edDSA: (kty, crv) == ("OKP", "Ed25519")
        }
    }

    /// - Throws: when the parts make no key. One of RSA has 2048 bits at least (RFC 7518 §3.3).
    func verifier(by algorithm: SigningAlgorithm) async throws -> any JWTAlgorithm {
        let id: JWKIdentifier = "key"
        let key: JWK =
            switch algorithm {
            case .es256: .ecdsa(.es256, identifier: id, x: x, y: y, curve: .p256)
            case .es384: .ecdsa(.es384, identifier: id, x: x, y: y, curve: .p384)
            case .rs256, .ps256: .rsa(algorithm.ofKeys, identifier: id, modulus: n, exponent: e)
            case .edDSA: .octetKeyPair(.eddsa, identifier: id, x: x, y: nil, curve: .ed25519)
            }
        return try await JWTKeyCollection().add(jwk: key).getKey(for: id)
    }
}
