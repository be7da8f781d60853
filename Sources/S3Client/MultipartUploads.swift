// Objects that are put together from parts.

import BlobCore
public import Foundation
public import NIOCore
import NIOHTTP1

/// An object that is being put together.
public struct S3MultipartUpload: Sendable, Hashable {
    public var key: String
    /// The store's name for it.
    public var id: String

    public init(key: String, id: String) {
        self.key = key
        self.id = id
    }
}

/// A part that the store has.
public struct S3Part: Sendable, Hashable {
    /// 1 to 10,000.
    public var number: Int
    /// As the store wrote it.
    public var eTag: String

    public init(number: Int, eTag: String) {
        self.number = number
        self.eTag = eTag
    }
}

/// Multipart uploads in the order of their keys.
public struct S3UploadsPage: Sendable, Hashable {
    /// One that was begun and neither completed nor aborted.
    public struct Entry: Sendable, Hashable {
        public var upload: S3MultipartUpload
        /// By the store's clock.
        public var initiated: Date
    }

    public var entries: [Entry]
    /// Whether there are more behind the last entry.
    public var isTruncated: Bool
}

extension S3Bucket {
    /// Begins to put an object together.
    ///
    /// A try whose reply was lost leaves an upload that nobody knows: find it with
    /// ``listMultipartUploads(prefix:after:limit:)`` and abort it some time.
    public func createMultipartUpload(_ key: String) async throws(S3Error) -> S3MultipartUpload {
        let request = S3Request(method: .POST, key: key, query: [("uploads", "")])
        return try await calls.send(request) { (reply) throws(S3Error) in
            let id = try Documents.decode(CreationReply.self, from: reply.body).id
            guard !id.isEmpty else {
                throw S3Error(.unexpectedReply, message: "the store gives the upload no name", status: reply.status)
            }
            return S3MultipartUpload(key: key, id: id)
        }
    }

    /// Sends a part; one that has the number already is replaced. It is durable when this returns, as with
    /// ``put(_:_:sha256:)``.
    ///
    /// - Parameters:
    ///   - number: 1 to 10,000.
    ///   - body: at least 5 MiB, unless it is the last part, and at most 5 GiB.
    ///   - sha256: of the body, 32 bytes, where the caller has it; it is computed otherwise.
    /// - Throws: ``S3Error`` of the kind `noSuchUpload`, too.
    public func uploadPart(
        _ upload: S3MultipartUpload, number: Int, _ body: [ByteBuffer], sha256: [UInt8]? = nil
    ) async throws(S3Error) -> S3Part {
        let request = S3Request(
            method: .PUT, key: upload.key, query: Self.query(upload, number), body: body, sha256: sha256)
        return try await calls.send(request) { (reply) throws(S3Error) in
            S3Part(number: number, eTag: try reply.required("ETag"))
        }
    }

    /// Makes a part of bytes that the bucket has already. They do not pass through this machine.
    ///
    /// - Parameters:
    ///   - sourceKey: an object of this bucket. Ceph finds none whose key has a '%'.
    ///   - range: of its bytes, within it; `nil` for all of them. Sizes are limited as in
    ///     ``uploadPart(_:number:_:sha256:)``.
    /// - Throws: ``S3Error`` of the kinds `notFound` for the source and `noSuchUpload`, too.
    public func copyPart(
        _ upload: S3MultipartUpload, number: Int, from sourceKey: String, range: Range<Int64>? = nil
    ) async throws(S3Error) -> S3Part {
        if let range, range.isEmpty || range.lowerBound < 0 {
            throw S3Error(.invalidRange, message: "there are no bytes \(range)")
        }
        let source = "/\(calls.configuration.bucket)/\(PercentEncoding.path(sourceKey))"
        var request = S3Request(
            method: .PUT, key: upload.key, query: Self.query(upload, number),
            headers: [(name: "x-amz-copy-source", value: source)])
        if let range {
            let bytes = "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
            request.headers.append((name: "x-amz-copy-source-range", value: bytes))
        }
        return try await calls.send(request) { (reply) throws(S3Error) in
            let eTag = try Documents.decode(CopyReply.self, from: reply.body).eTag
            guard !eTag.isEmpty else {
                throw S3Error(.unexpectedReply, message: "the store's reply has no ETag", status: reply.status)
            }
            return S3Part(number: number, eTag: eTag)
        }
    }

    /// Makes the object of its parts. It is durable and to be seen when this returns.
    ///
    /// Where the reply is lost or does not tell, the object itself decides: while it is there, it counts as completed.
    /// So a call may be made again, by another process as well, as long as keys are used once.
    ///
    /// - Parameter parts: in ascending order of their numbers: all that were sent, since stores differ in what they do
    ///   with others (Ceph refuses them as `invalidPart`).
    /// - Returns: the object's ETag.
    /// - Throws: ``S3Error`` of the kinds `noSuchUpload`, `invalidPart` and `entityTooSmall`, too.
    @discardableResult
    public func completeMultipartUpload(
        _ upload: S3MultipartUpload, parts: [S3Part]
    ) async throws(S3Error) -> String {
        let request = S3Request(
            method: .POST, key: upload.key, query: [("uploadId", upload.id)],
            headers: [(name: "Content-Type", value: "application/xml")], body: [Documents.completion(of: parts)])
        var failure = S3Error(.unexpectedReply, message: "the store says that it made an object, and has none")
        do throws(S3Error) {
            let eTag = try await calls.send(request) { (reply) throws(S3Error) in
                try Documents.decode(CompletionReply.self, from: reply.body).eTag
            }
            // Ceph leaves the quotes out, and sometimes all of it.
            if let eTag, !eTag.isEmpty { return eTag.hasPrefix("\"") ? eTag : "\"\(eTag)\"" }
        } catch let error where [.noSuchUpload, .serverError].contains(error.kind) {
            failure = error
        }
        if let object = try await head(upload.key) { return object.eTag }
        // For an upload that is gone, Ceph has the same reply as for one that it is busy with.
        if failure.kind == .serverError { try await requireUpload(upload) }
        throw failure
    }

    /// - Throws: ``S3Error`` of the kind `noSuchUpload` when there is no such upload.
    private func requireUpload(_ upload: S3MultipartUpload) async throws(S3Error) {
        let query = [(name: "uploadId", value: upload.id), (name: "max-parts", value: "1")]
        do throws(S3Error) {
            try await calls.send(S3Request(method: .GET, key: upload.key, query: query)) { _ in }
        } catch let error where error.kind == .notFound {
            throw S3Error(
                .noSuchUpload, code: error.code, message: "the upload is gone", status: error.status,
                requestID: error.requestID)
        }
    }

    /// Drops an upload and its parts. One that is not there counts as dropped.
    ///
    /// A part that is still being sent may stay behind: then abort it again.
    public func abortMultipartUpload(_ upload: S3MultipartUpload) async throws(S3Error) {
        do throws(S3Error) {
            try await calls.send(S3Request(method: .DELETE, key: upload.key, query: [("uploadId", upload.id)])) { _ in }
        } catch let error where error.kind == .noSuchUpload {
            return
        }
    }

    /// Lists uploads that were neither completed nor aborted. A key that XML 1.0 cannot hold, as one with a control
    /// character, makes it fail: stores do not agree on how to tell it.
    ///
    /// - Parameters:
    ///   - prefix: of the keys; empty for all.
    ///   - after: the last page's last upload; `nil` from the first on.
    ///   - limit: entries at most, 1 to 1000.
    public func listMultipartUploads(
        prefix: String, after: S3MultipartUpload? = nil, limit: Int = 1000
    ) async throws(S3Error) -> S3UploadsPage {
        var query = [
            (name: "uploads", value: ""), (name: "prefix", value: prefix),
            (name: "max-uploads", value: "\(min(max(1, limit), 1000))"),
        ]
        if let after { query += [(name: "key-marker", value: after.key), (name: "upload-id-marker", value: after.id)] }
        return try await calls.send(S3Request(method: .GET, query: query)) { (reply) throws(S3Error) in
            let document = try Documents.decode(UploadsReply.self, from: reply.body)
            var page = S3UploadsPage(entries: [], isTruncated: document.isTruncated)
            for upload in document.uploads {
                guard upload.key.hasPrefix(prefix), !upload.id.isEmpty, let time = S3Time.iso8601(upload.initiated)
                else {
                    throw S3Error(.unexpectedReply, message: "the store lists '\(upload.key)', which makes no sense")
                }
                let entry = S3MultipartUpload(key: upload.key, id: upload.id)
                page.entries.append(S3UploadsPage.Entry(upload: entry, initiated: time))
            }
            guard !page.isTruncated || !page.entries.isEmpty && page.entries.last?.upload != after else {
                throw S3Error(.unexpectedReply, message: "the store's list of uploads gets no further")
            }
            return page
        }
    }

    private static func query(_ upload: S3MultipartUpload, _ number: Int) -> [(name: String, value: String)] {
        [("partNumber", "\(number)"), ("uploadId", upload.id)]
    }
}
