// A token as its issuer has written it, before anything in it is believed.

import BlobCore
import Foundation

/// A JSON Web Token in the compact form of a signature (RFC 7519 §3, RFC 7515 §7.1).
struct SignedToken {
    let algorithm: SigningAlgorithm
    let keyID: String?
    /// What the signature is of: the header and the claims as they were sent.
    let signed: Substring.UTF8View
    let claims: Data
    let signature: [UInt8]

    /// In bytes. The parts are looked at only where the whole is no longer.
    static let longest = 8192

    /// - Throws: for what needs no key to be refused.
    init(parsing text: String, algorithms: Set<SigningAlgorithm>) throws(TokenFault) {
        guard text.utf8.count <= Self.longest else { throw .oversize }
        let parts = text.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64URL.bytes(parts[0]), let claims = Base64URL.bytes(parts[1]),
            let signature = Base64URL.bytes(parts[2]),
            let header = try? JSONDecoder().decode(Header.self, from: Data(head))
        else { throw .malformed }

        guard !header.isDemanding else { throw .header }
        guard let algorithm = SigningAlgorithm(rawValue: header.algorithm), algorithms.contains(algorithm) else {
            throw .algorithm
        }
        guard Self.isForSignIn(header.type) else { throw .type }
        self.algorithm = algorithm
        keyID = header.keyID
        signed = text[..<parts[1].endIndex].utf8
        self.claims = Data(claims)
        self.signature = signature
    }

    /// Access tokens of RFC 9068 §2.1, and tokens that do not say what they are for. Others are signed with the same
    /// keys to sign somebody out, or to prove something else (RFC 8725 §3.11).
    private static func isForSignIn(_ type: String?) -> Bool {
        guard let type = type?.lowercased() else { return true }
        return ["jwt", "at+jwt", "application/jwt", "application/at+jwt"].contains(type)
    }
}

/// RFC 7515 §4.1.
private struct Header: Decodable {
    let algorithm: String
    let keyID: String?
    let type: String?
    /// Whether there is anything that would have to be understood (`crit`), or that names a key to believe the token by
    /// beside those of its issuer.
    let isDemanding: Bool

    enum CodingKeys: String, CodingKey {
        case alg, kid, typ, crit, jwk, jku, x5u, x5c
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        algorithm = try fields.decode(String.self, forKey: .alg)
        keyID = try fields.decodeIfPresent(String.self, forKey: .kid)
        type = try fields.decodeIfPresent(String.self, forKey: .typ)
        isDemanding = [.crit, .jwk, .jku, .x5u, .x5c].contains(where: fields.contains)
    }
}
