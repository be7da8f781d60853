// The bytes of an object, on their way, whatever breaks.

import AsyncHTTPClient
import BlobCore
import Foundation
public import NIOCore
import NIOHTTP1
import Synchronization

/// An object's bytes, to be iterated over once or more often; the first time uses the reply that is there already.
///
/// The store sends only as fast as the bytes are taken. When the connection breaks or goes silent, the rest is asked
/// for again, of the same object (`If-Match`), as often as ``S3Configuration/Retries`` allows without any byte between.
/// All bytes of ``range`` come, or an error is thrown: `preconditionFailed` when the object has been replaced
/// meanwhile, `notFound` when it has been deleted. Cancelling the task ends it with `cancelled`.
public struct S3Download: AsyncSequence, Sendable {
    public typealias Element = ByteBuffer
    public typealias Failure = S3Error

    /// About the whole object.
    public let info: S3ObjectInfo
    /// The bytes that come.
    public let range: Range<Int64>
    private let calls: Calls
    private let key: String
    private let first: FirstBody

    init(calls: Calls, key: String, info: S3ObjectInfo, range: Range<Int64>, body: HTTPClientResponse.Body) {
        (self.calls, self.key, self.info, self.range) = (calls, key, info, range)
        first = FirstBody(body)
    }

    /// How many bytes come.
    public var count: Int64 { range.upperBound - range.lowerBound }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }

    /// Brings the bytes one piece after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let download: S3Download
        private var body: HTTPClientResponse.Body.AsyncIterator?
        private var position: Int64
        /// Since the last byte that came; `nil` while all goes well.
        private var schedule: RetrySchedule?

        fileprivate init(_ download: S3Download) {
            self.download = download
            body = download.first.take()?.makeAsyncIterator()
            position = download.range.lowerBound
        }

        /// The next bytes, never none; `nil` at the end of the range.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(S3Error) -> ByteBuffer? {
            while position < download.range.upperBound {
                do throws(S3Error) {
                    if body == nil { body = try await download.reopened(at: position).makeAsyncIterator() }
                    return try await receive(isolation: actor)
                } catch {
                    body = nil
                    var attempts = schedule ?? RetrySchedule(download.calls.configuration.retries, from: .now)
                    try await download.calls.pause(after: error, download.request(from: position), &attempts)
                    schedule = attempts
                }
            }
            try? await finish(isolation: actor)
            return nil
        }

        /// Reads the reply's end, too: before, the connection is not free for others.
        private mutating func finish(isolation actor: isolated (any Actor)?) async throws {
            _ = try await body?.next(isolation: actor)
            body = nil
        }

        private mutating func receive(isolation actor: isolated (any Actor)?) async throws(S3Error) -> ByteBuffer {
            while true {
                let bytes: ByteBuffer?
                do {
                    bytes = try await body?.next(isolation: actor)
                } catch {
                    throw S3Error(network: error)
                }
                guard let bytes else { throw Task.isCancelled ? .cancelled : .broken }
                guard bytes.readableBytes > 0 else { continue }
                position += Int64(bytes.readableBytes)
                guard position <= download.range.upperBound else {
                    throw S3Error(.unexpectedReply, message: "the store sends more bytes than it announced")
                }
                schedule = nil
                if position == download.range.upperBound { try? await finish(isolation: actor) }
                return bytes
            }
        }
    }
}

extension S3Download {
    static func request(_ key: String, range: Range<Int64>?, eTag: String?) -> S3Request {
        var request = S3Request(method: .GET, key: key)
        if let range { request.headers.append(("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")) }
        if let eTag { request.headers.append(("If-Match", eTag)) }
        return request
    }

    private func request(from position: Int64) -> S3Request {
        Self.request(key, range: position..<range.upperBound, eTag: info.eTag)
    }

    /// Asks once for the bytes from a position on.
    private func reopened(at position: Int64) async throws(S3Error) -> HTTPClientResponse.Body {
        let request = request(from: position)
        let rest = position..<range.upperBound
        return try await calls.once(calls.admit()) { () async throws(S3Error) -> HTTPClientResponse.Body in
            let response = try await calls.transport.open(request, within: calls.configuration.callTimeout)
            let (info, held, body) = try Self.check(response, range: rest)
            guard info.eTag == self.info.eTag, held == rest else {
                throw S3Error(.preconditionFailed, message: "the object was replaced while it was read", status: 206)
            }
            return body
        }
    }

    /// Compares the head of a reply with the request.
    ///
    /// - Returns: what the object is, which bytes of it come, and where from.
    static func check(
        _ response: HTTPClientResponse, range: Range<Int64>?
    ) throws(S3Error) -> (info: S3ObjectInfo, held: Range<Int64>, body: HTTPClientResponse.Body) {
        let reply = S3Reply(status: Int(response.status.code), headers: response.headers, body: ByteBuffer())
        guard let count = Int64(try reply.required("Content-Length")), count >= 0 else {
            throw S3Error(.unexpectedReply, message: "the store's reply tells no size", status: reply.status)
        }
        guard let range else {
            guard reply.status == 200 else {
                throw S3Error(.unexpectedReply, message: "not all of the object comes", status: reply.status)
            }
            return (try S3ObjectInfo(reply, size: count), 0..<count, response.body)
        }
        guard reply.status == 206, let held = ContentRange(parsing: try reply.required("Content-Range")),
            let size = held.size, held.first == range.lowerBound, held.last < size,
            held.last == Swift.min(range.upperBound, size) - 1, count == held.last - held.first + 1
        else {
            throw S3Error(.unexpectedReply, message: "other bytes come than were asked for", status: reply.status)
        }
        return (try S3ObjectInfo(reply, size: size), held.first..<held.last + 1, response.body)
    }
}

/// The body of the reply that began a download; the connection is given up when nobody takes it.
private final class FirstBody: Sendable {
    private let body: Mutex<HTTPClientResponse.Body?>

    init(_ body: HTTPClientResponse.Body) {
        self.body = Mutex(body)
    }

    func take() -> HTTPClientResponse.Body? {
        body.withLock { body in
            defer { body = nil }
            return body
        }
    }
}
