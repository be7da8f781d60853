// A bucket, and what can be done with its objects one by one.

import BlobCore
public import Foundation
public import Logging
public import NIOCore
import NIOHTTP1

/// One bucket of an S3-compatible store.
///
/// Every call is tried again after failures that may pass: no connection, no reply, too much at once, the store's own
/// failures. ``S3Configuration/Retries`` bounds that. While the store does not answer at all, calls fail at once with
/// the kind `unreachable`, see ``S3Configuration/CircuitBreaking``. Calls of a cancelled task throw the kind
/// `cancelled`.
///
/// What a store has acknowledged is durable, as far as the store keeps its word: every call that returns has had such a
/// reply, complete and understood. Keys are meant to be used once: then it does no harm that a put is sent again whose
/// reply was lost.
public final class S3Bucket: Sendable {
    let calls: Calls

    /// Checks the configuration; asks nothing of the store yet.
    ///
    /// - Throws: ``S3Error`` of the kind `invalidConfiguration`, whose message says what would be right.
    public convenience init(_ configuration: S3Configuration, logger: Logger) throws(S3Error) {
        try self.init(configuration, logger: logger, clock: { Date() })
    }

    /// - Parameter clock: the time that requests are signed with.
    init(
        _ configuration: S3Configuration, logger: Logger, clock: @escaping @Sendable () -> Date
    ) throws(S3Error) {
        calls = try Calls(configuration, logger: logger, clock: clock)
    }

    /// Closes all connections; calls that run fail with the kind `cancelled`. Has to be called before the last
    /// reference goes.
    public func shutdown() async {
        await calls.transport.shutdown()
    }

    /// Stores an object. Another one under the key is replaced.
    ///
    /// When it returns, the store has compared the bytes with their hash and keeps the object. When it throws, the
    /// object may be there all the same, whole, unless the kind is `checksumMismatch` or one of a refusal. Cancelling
    /// the task breaks the connection: then, too, there is a whole object or none.
    ///
    /// - Parameters:
    ///   - body: at most 5 GiB, sent piece by piece as it is.
    ///   - sha256: of the body, 32 bytes, where the caller has it; it is computed otherwise, on the caller's
    ///     thread.
    /// - Returns: the object's ETag.
    @discardableResult
    public func put(_ key: String, _ body: [ByteBuffer], sha256: [UInt8]? = nil) async throws(S3Error) -> String {
        let request = S3Request(method: .PUT, key: key, body: body, sha256: sha256)
        return try await calls.send(request) { (reply) throws(S3Error) in try reply.required("ETag") }
    }

    /// Begins to read an object. The bytes come when the result is iterated over; until its end, or until it is
    /// dropped, it takes one of the connections.
    ///
    /// - Parameters:
    ///   - range: of bytes; any behind the object's end are left out.
    ///   - eTag: of the object that is meant; `nil` for whatever is there.
    /// - Throws: ``S3Error`` of the kind `notFound`; `invalidRange` when the range is empty or begins behind the end;
    ///   `preconditionFailed` when another object is there than the one that is meant.
    public func get(
        _ key: String, range: Range<Int64>? = nil, eTag: String? = nil
    ) async throws(S3Error) -> S3Download {
        if let range, range.isEmpty || range.lowerBound < 0 {
            throw S3Error(.invalidRange, message: "there are no bytes \(range)")
        }
        let request = S3Download.request(key, range: range, eTag: eTag)
        let (info, held, body) = try await calls.perform(request) { (limit) async throws(S3Error) in
            let begun = try S3Download.check(await calls.transport.open(request, within: limit), range: range)
            guard eTag == nil || eTag == begun.info.eTag else {
                throw S3Error(.preconditionFailed, message: "another object comes than was asked for")
            }
            return begun
        }
        return S3Download(calls: calls, key: key, info: info, range: held, body: body)
    }

    /// The object under a key; `nil` when there is none.
    ///
    /// - Throws: ``S3Error`` of the kind `noSuchBucket`, too: a missing bucket is not a missing object.
    public func head(_ key: String) async throws(S3Error) -> S3ObjectInfo? {
        do throws(S3Error) {
            return try await calls.send(S3Request(method: .HEAD, key: key), read: S3ObjectInfo.init)
        } catch let error where error.kind == .notFound {
            // A reply to HEAD has no body that could say what is missing; the one to GET has.
            do throws(S3Error) {
                return try await get(key).info
            } catch let error where error.kind == .notFound {
                return nil
            }
        }
    }

    /// Whether the bucket can be reached with these keys. Tries once, even when other calls are failing at once.
    public func checkAccess() async throws(S3Error) {
        let request = S3Request(method: .HEAD)
        do throws(S3Error) {
            _ = try await calls.once(calls.admitAlways()) { () async throws(S3Error) in
                try await calls.transport.exchange(request, within: calls.configuration.checkTimeout)
            }
        } catch let error where error.kind == .notFound {
            var error = error
            error.kind = .noSuchBucket
            error.message = "there is no bucket '\(calls.configuration.bucket)'"
            throw error
        }
    }

    /// Whether calls fail at once now, because the store did not answer the last times.
    public var isRefusing: Bool { calls.isRefusing }

    /// An address with which anybody may read an object for a time. The store is not asked, not even whether there is
    /// such an object.
    ///
    /// - Parameters:
    ///   - expiresIn: 1 second to 7 days; less or more is taken for the nearest of them.
    ///   - responseHeaders: what the store's reply is to carry in place of the object's own, such as
    ///     `Content-Disposition`, `Content-Type`, `Cache-Control`, `Expires`, `Content-Language`, `Content-Encoding`.
    public func presignedURL(
        for key: String, expiresIn: Duration, responseHeaders: [String: String] = [:]
    ) -> String {
        let query = responseHeaders.map { (name: "response-\($0.key.lowercased())", value: $0.value) }
        let seconds = min(max(1, expiresIn.components.seconds), 7 * 86_400)
        return calls.transport.presigned(key, query: query, expiresIn: Int(seconds))
    }
}

/// What a store tells about an object.
public struct S3ObjectInfo: Sendable, Hashable {
    /// In bytes.
    public var size: Int64
    /// To the second.
    public var lastModified: Date
    /// As the store wrote it, with its quotes. Changes with the object.
    public var eTag: String
}

extension S3ObjectInfo {
    fileprivate init(_ reply: S3Reply) throws(S3Error) {
        guard let size = Int64(try reply.required("Content-Length")), size >= 0 else {
            throw S3Error(.unexpectedReply, message: "the store's reply tells no size", status: reply.status)
        }
        try self.init(reply, size: size)
    }

    /// - Parameter size: of the whole object, however much of it the reply brings.
    init(_ reply: S3Reply, size: Int64) throws(S3Error) {
        self.size = size
        eTag = try reply.required("ETag")
        guard let lastModified = HTTPDate.date(try reply.required("Last-Modified")) else {
            throw S3Error(.unexpectedReply, message: "the store's reply tells no time", status: reply.status)
        }
        self.lastModified = lastModified
    }
}

extension S3Reply {
    /// A header that every such reply has.
    func required(_ name: String) throws(S3Error) -> String {
        guard let value = headers.first(name: name), !value.isEmpty else {
            throw S3Error(.unexpectedReply, message: "the store's reply has no \(name)", status: status)
        }
        return value
    }
}
