// The meaning of a word of a command line: a blob by its digest or address, or a file by its id or name.

import BlobCore
import Foundation

enum BlobReference: Hashable {
    /// On the server at this address.
    case url(server: String, BlobDigest)
    case digest(BlobDigest)
    case file(FileID)
    /// A file's name or path, or the first digits of a digest.
    case name(String)

    /// No name that people give looks like an id of less than three days after the first that a server could make, so
    /// shorter ones are names.
    private static let firstID: Int64 = 1 << 50

    /// - Throws: ``UsageProblem`` for a word that can be none of these.
    init(parsing text: String) throws(UsageProblem) {
        if text.isEmpty { throw UsageProblem("a blob's name is empty") }
        if text.contains("://") {
            self = try Self.url(text)
        } else if let digest = try? BlobDigest(parsing: text) {
            self = .digest(digest)
        } else if text.hasPrefix("sha256:") {
            throw UsageProblem("'\(text)' is no digest, which has 64 hexadecimal digits after 'sha256:'")
        } else if let id = FileID(parsing: text), id.value >= Self.firstID {
            self = .file(id)
        } else {
            self = .name(text)
        }
    }

    private static func url(_ text: String) throws(UsageProblem) -> Self {
        let path = text.prefix { $0 != "?" && $0 != "#" }
        let isWeb = ["http://", "https://"].contains { path.lowercased().hasPrefix($0) }
        guard isWeb, let route = path.range(of: "/api/blobs/", options: .backwards),
            let name = PercentEncoding.decoded(path[route.upperBound...]), let digest = try? BlobDigest(parsing: name)
        else {
            throw UsageProblem(
                "'\(text.withoutCredentials)' is no blob's URL; one is https://files.example.com:8887/api/blobs/DIGEST")
        }
        return .url(server: String(path[..<route.lowerBound]), digest)
    }

    /// The digits, where a name may be the beginning of a digest: as many as `blob list` shows, or some less.
    static func digestStart(_ name: String) -> String? {
        (8..<2 * BlobDigest.byteCount).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in "0123456789abcdefABCDEF".utf8.contains(byte) } ? name.lowercased() : nil
    }
}
