// Deleting, many objects at a time.

import Crypto
import Foundation
import NIOCore
import NIOHTTP1

extension S3Bucket {
    /// Deletes objects, a thousand with each request. One that is not there counts as deleted.
    ///
    /// - Returns: the keys that could not be deleted, and why. All others are gone for good.
    /// - Throws: when a whole request failed. Some objects may be gone already; calling again does no harm.
    public func delete(_ keys: [String]) async throws(S3Error) -> [String: S3Error] {
        var failures: [String: S3Error] = [:]
        let listable = keys.filter(Documents.canHold)
        for start in stride(from: 0, to: listable.count, by: Self.deletionLimit) {
            let chunk = Array(Set(listable[start..<min(listable.count, start + Self.deletionLimit)]))
            failures.merge(try await delete(together: chunk)) { $1 }
        }
        // XML cannot name these.
        for key in keys where !Documents.canHold(key) {
            do throws(S3Error) {
                try await calls.send(S3Request(method: .DELETE, key: key)) { _ in }
            } catch let error where error.kind == .notFound {
                continue
            } catch let error where !error.isRetryable && error.kind != .cancelled {
                failures[key] = error
            }
        }
        return failures
    }

    /// S3's own.
    private static let deletionLimit = 1000

    private func delete(together keys: [String]) async throws(S3Error) -> [String: S3Error] {
        let body = Documents.deletion(of: keys)
        let md5 = Data(Insecure.MD5.hash(data: Data(body.readableBytesView))).base64EncodedString()
        let request = S3Request(
            method: .POST, query: [("delete", "")],
            headers: [(name: "Content-MD5", value: md5), (name: "Content-Type", value: "application/xml")], body: [body]
        )
        return try await calls.send(request) { (reply) throws(S3Error) in
            try Self.failures(among: keys, in: reply)
        }
    }

    /// Every key has to be named as deleted; one that is not named is not known to be gone.
    private static func failures(among keys: [String], in reply: S3Reply) throws(S3Error) -> [String: S3Error] {
        let document = try Documents.decode(DeletionReply.self, from: reply.body)
        let requestID = reply.headers.first(name: "x-amz-request-id")
        var left = Set(keys).subtracting(document.deleted.map(\.key))
        var failures: [String: S3Error] = [:]
        for failure in document.failures {
            left.remove(failure.key)
            let error = S3Error(
                refusal: failure.code, message: failure.message ?? "", status: reply.status, requestID: requestID)
            if error.kind != .notFound { failures[failure.key] = error }
        }
        for key in left {
            failures[key] = S3Error(
                .unexpectedReply, message: "the store does not say whether it was deleted", status: reply.status,
                requestID: requestID)
        }
        return failures
    }
}
