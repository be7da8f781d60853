// Digests, identities, cursors and tokens.

import BlobCore
import BlobStorage
import Foundation

@testable import OIDC

extension FuzzedParser {
    static let identities = [
        FuzzedParser(
            "digest",
            text: { text in
                guard let digest = try? BlobDigest(parsing: text) else { return }
                try require(try BlobDigest(parsing: digest.hex) == digest, "\(digest) is read otherwise")
            }),
        FuzzedParser(
            "file-id",
            text: { text in
                guard let id = FileID(parsing: text) else { return }
                try require(id.description.utf8.elementsEqual(text.utf8), "\(id) has two texts")
            }),
        FuzzedParser(
            "upload-id",
            text: { text in
                guard let id = UploadID(parsing: text) else { return }
                try require(UploadID(parsing: id.description) == id, "\(id) is read otherwise")
            }),
        FuzzedParser(
            "cursor",
            text: { text in
                guard let cursor = FileCursor(parsing: text) else { return }
                try require(cursor.description.utf8.elementsEqual(text.utf8), "\(cursor) has two texts")
            }),
        FuzzedParser(
            "upload-token",
            text: { text in
                try require(!UploadTokens(secret: [1]).isToken(text, of: UploadID()), text)
            }),
        FuzzedParser(
            "json-web-token",
            text: { text in
                try readClaims(text)
            }),
        // The parts alone, in the clear: base64 keeps a fuzzer from what is inside.
        FuzzedParser("token-head") { try readClaims("\(Base64URL.text($0)).e30.AAAA") },
        FuzzedParser("token-claims") { try readClaims("eyJhbGciOiJFUzI1NiJ9.\(Base64URL.text($0)).AAAA") },
    ]

    private static let policy = TokenPolicy(
        issuer: "https://issuer", audience: "blobd", algorithms: Set(SigningAlgorithm.allCases), scopeClaim: nil,
        scopes: .standard)

    private static func readClaims(_ text: String) throws {
        guard let token = try? SignedToken(parsing: text, algorithms: policy.algorithms) else { return }
        try require(text.utf8.count <= SignedToken.longest, "too long")
        guard let claims = try? Claims(of: token, granting: policy.grantingClaims),
            let subject = try? claims.subject(by: policy, now: Date())
        else { return }
        try require(subject.name.hasPrefix("https://issuer "), "\(subject)")
    }
}
