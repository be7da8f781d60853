// Tokens as issuers and attackers write them.

import Crypto
import CryptoExtras
import Foundation

/// Signs whatever it is given, however wrong.
struct Forge: Sendable {
    let es256 = P256.Signing.PrivateKey()
    let es384 = P384.Signing.PrivateKey()
    let edDSA = Curve25519.Signing.PrivateKey()
    let rsa: _RSA.Signing.PrivateKey

    init() throws { rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    enum Signature: Sendable {
        case es256, es384, edDSA, rs256, ps256
        /// With a secret that both sides know.
        case hs256(secret: [UInt8])
        case bytes([UInt8])
    }

    /// - Parameters:
    ///   - header: in JSON.
    ///   - claims: in JSON.
    func token(_ header: String, _ claims: String, _ signature: Signature) throws -> String {
        let signed = "\(Self.base64URL(Array(header.utf8))).\(Self.base64URL(Array(claims.utf8)))"
        return "\(signed).\(Self.base64URL(try bytes(of: signature, signing: Data(signed.utf8))))"
    }

    private func bytes(of signature: Signature, signing text: Data) throws -> [UInt8] {
        switch signature {
        case .es256: Array(try es256.signature(for: text).rawRepresentation)
        case .es384: Array(try es384.signature(for: text).rawRepresentation)
        case .edDSA: Array(try edDSA.signature(for: text))
        case .rs256:
            Array(try rsa.signature(for: SHA256.hash(data: text), padding: .insecurePKCS1v1_5).rawRepresentation)
        case .ps256: Array(try rsa.signature(for: SHA256.hash(data: text), padding: .PSS).rawRepresentation)
        case .hs256(let secret):
            Array(HMAC<SHA256>.authenticationCode(for: text, using: SymmetricKey(data: secret)))
        case .bytes(let bytes): bytes
        }
    }

    /// The public keys, in JSON; the ids are `ec`, `ec384`, `ed` and `rsa`.
    var keySet: String {
        get throws {
            let (ec, ec384) = (es256.publicKey.rawRepresentation, es384.publicKey.rawRepresentation)
            let numbers = try rsa.publicKey.getKeyPrimitives()
            return """
                {"keys": [
                {"kty":"EC","crv":"P-256","kid":"ec","x":"\(Self.base64URL(ec.prefix(32)))",
                 "y":"\(Self.base64URL(ec.suffix(32)))"},
                {"kty":"EC","crv":"P-384","kid":"ec384","use":"sig","x":"\(Self.base64URL(ec384.prefix(48)))",
                 "y":"\(Self.base64URL(ec384.suffix(48)))"},
                {"kty":"OKP","crv":"Ed25519","kid":"ed","alg":"EdDSA",
                 "x":"\(Self.base64URL(edDSA.publicKey.rawRepresentation))"},
                {"kty":"RSA","kid":"rsa","key_ops":["verify"],"n":"\(Self.base64URL(numbers.modulus))",
                 "e":"\(Self.base64URL(numbers.publicExponent))"},
                {"kty":"RSA","kid":"for secrets","use":"enc","n":"\(Self.base64URL(numbers.modulus))",
                 "e":"\(Self.base64URL(numbers.publicExponent))"},
                {"kty":"oct","kid":"shared","k":"c2VjcmV0"}, {"kty":"EC","crv":"secp256k1","kid":"other"}, 7
                ]}
                """
        }
    }

    static func base64URL(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
