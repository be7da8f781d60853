// The objects of a bucket, page by page.

import BlobCore
public import Foundation
import NIOHTTP1

/// Objects in the order of their keys' UTF-8 bytes.
public struct S3Page: Sendable, Hashable {
    public var entries: [S3Entry]
    /// Whether there is more behind the last entry.
    public var isTruncated: Bool
}

/// An object as a listing has it.
public struct S3Entry: Sendable, Hashable {
    public var key: String
    /// In bytes.
    public var size: Int64
    /// When it was stored, by the store's clock.
    public var lastModified: Date
}

extension S3Bucket {
    /// Lists objects. A page holds all that were acknowledged before the call, as far as the store keeps its word.
    ///
    /// - Parameters:
    ///   - prefix: of the keys; empty for all.
    ///   - after: the key behind which the page begins, which need not exist; `nil` from the first on. For the next
    ///     page, the last entry's.
    ///   - limit: entries at most, 1 to 1000.
    public func list(prefix: String, after: String?, limit: Int) async throws(S3Error) -> S3Page {
        var query = [
            (name: "list-type", value: "2"), (name: "encoding-type", value: "url"), (name: "prefix", value: prefix),
            (name: "max-keys", value: "\(min(max(1, limit), 1000))"),
        ]
        if let after { query.append((name: "start-after", value: after)) }
        return try await calls.send(S3Request(method: .GET, query: query)) { (reply) throws(S3Error) in
            let document = try Documents.decode(ListReply.self, from: reply.body)
            var page = S3Page(entries: [], isTruncated: document.isTruncated)
            for object in document.objects {
                guard let key = Documents.key(object.key, encoding: document.encoding), key.hasPrefix(prefix),
                    let time = S3Time.iso8601(object.lastModified), object.size >= 0
                else {
                    throw S3Error(.unexpectedReply, message: "the store lists '\(object.key)', which makes no sense")
                }
                page.entries.append(S3Entry(key: key, size: object.size, lastModified: time))
            }
            try Self.check(page, after)
            return page
        }
    }

    /// Whoever asks for the next page gets further.
    private static func check(_ page: S3Page, _ after: String?) throws(S3Error) {
        let keys = page.entries.map(\.key)
        let isForward = zip([after].compactMap(\.self) + keys, keys.dropFirst(after == nil ? 1 : 0))
            .allSatisfy { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard isForward, !keys.isEmpty || !page.isTruncated else {
            throw S3Error(.unexpectedReply, message: "the store's list is out of order")
        }
    }
}

extension Documents {
    /// A key as a listing with `encoding-type=url` has it; a store that did not encode it says so by its silence.
    static func key(_ text: String, encoding: String?) -> String? {
        encoding?.lowercased() == "url" ? PercentEncoding.decoded(text[...], isForm: true) : text
    }
}
