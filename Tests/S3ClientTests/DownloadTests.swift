// Downloads whose connection breaks.

import Foundation
import NIOCore
import NIOHTTP1
import Testing

@testable import S3Client

@Suite("Downloads that break", .timeLimit(.minutes(10)))
struct DownloadTests {
    private static let bytes = Sample.bytes(100_000)

    private static let object = Canned.object(bytes)

    /// Where each request for the rest began.
    private static func starts(_ store: CannedStore) -> [Int] {
        store.seen.dropFirst().compactMap { request in
            request.headers.first(name: "Range")?.dropFirst(6).split(separator: "-").first.flatMap { Int($0) }
        }
    }

    @Test("it goes on where it went silent")
    func silent() async throws {
        let replies = [
            Self.object.cut(after: 0, .silence), Self.object.cut(after: 30_000, .silence), Canned(503), .lost,
            Self.object.cut(after: 69_999, .silence), Self.object,
        ]
        try await withCanned(replies, { $0.idleTimeout = .seconds(5) }) { store, bucket async throws in
            #expect(try await bucket.bytes("a") == Self.bytes)
            let starts = Self.starts(store)
            // Where this machine is slow, bytes that were received but not taken are asked for again.
            #expect(starts.count == 5 && starts == starts.sorted() && starts[0] == 0)
            #expect(starts[1] == starts[3] && starts[3] <= 30_000)
            #expect(store.seen.dropFirst().allSatisfy { $0.headers.first(name: "If-Match") == "\"e\"" })
        }
    }

    @Test("it goes on where it broke, as often as there is progress")
    func broken() async throws {
        try await withCanned([Self.object.cut(after: 7000)], { $0.retries.tries = 20 }) { store, bucket async throws in
            #expect(try await bucket.bytes("a") == Self.bytes)
            let starts = Self.starts(store)
            #expect(starts.count >= 14 && starts == starts.sorted())
        }
    }

    @Test("a range goes on within itself")
    func brokenRange() async throws {
        try await withCanned([Self.object.cut(after: 3, .silence), Self.object], { $0.idleTimeout = .seconds(5) }) {
            store, bucket async throws in
            #expect(try await bucket.bytes("a", range: 10..<20) == Array(Self.bytes[10..<20]))
            #expect(store.seen.map { $0.headers.first(name: "Range") } == ["bytes=10-19", "bytes=13-19"])
        }
    }

    @Test("without progress it ends, and is never taken for complete", arguments: [Canned.End.silence, .close])
    func noProgress(_ end: Canned.End) async throws {
        let replies = [Self.object.cut(after: 50_000, .silence), Self.object.cut(after: 0, end)]
        try await withCanned(
            replies,
            {
                $0.retries.tries = 3
                $0.idleTimeout = .seconds(5)
            }
        ) { store, bucket in
            let download = try await bucket.get("a")
            var count = 0
            let error = await #expect(throws: S3Error.self) {
                for try await piece in download { count += piece.readableBytes }
            }
            #expect(error?.isRetryable == true && count <= 50_000)
            #expect(store.seen.count == 3)
        }
    }

    static let strange: [(String, Canned, S3Error.Kind)] = [
        ("replaced", .error(412, "PreconditionFailed"), .preconditionFailed),
        ("gone", .error(404, "NoSuchKey"), .notFound),
        ("another object", .object(bytes, eTag: "\"f\""), .preconditionFailed),
        ("a shorter object", .object(Array(bytes[..<60_000])), .preconditionFailed),
        ("no range", Canned(200, headers: object.headers, "all of it"), .unexpectedReply),
        ("a web page", Canned(200, "<html/>"), .unexpectedReply),
    ]

    @Test("what does not go on ends it", arguments: strange)
    func replaced(_ name: String, _ reply: Canned, _ kind: S3Error.Kind) async throws {
        try await withCanned([Self.object.cut(after: 50_000), reply]) { store, bucket in
            let download = try await bucket.get("a")
            let error = await #expect(throws: S3Error.self) {
                for try await _ in download {}
            }
            #expect(error?.kind == kind)
            #expect(store.seen.count == 2)
        }
    }

    @Test("a store that does not compare ETags sends nothing of another object")
    func uncompared() async throws {
        try await withCanned([Self.object, Self.object]) { store, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.get("a", eTag: "\"f\"") }
            #expect(error?.kind == .preconditionFailed)
            #expect(store.seen.map { $0.headers.first(name: "If-Match") } == ["\"f\""])
            let download = try await bucket.get("a", eTag: "\"e\"")
            #expect(download.info.eTag == "\"e\"")
        }
    }

    @Test("a reply that is not what was asked for is refused", arguments: ["Content-Range", "ETag", "Last-Modified"])
    func lacking(_ header: String) async throws {
        var reply = Self.object
        (reply.status, reply.isObject) = (206, false)
        reply.headers.append(("Content-Range", "bytes 0-99999/100000"))
        reply.headers.removeAll { $0.0 == header }
        try await withCanned([reply]) { _, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.get("a", range: 0..<100_000) }
            #expect(error?.kind == .unexpectedReply)
        }
    }

    @Test("cancelling ends it while the store is silent")
    func cancelled() async throws {
        try await withCanned([Self.object.cut(after: 1000, .silence)]) { _, bucket in
            let (reading, read) = AsyncStream<Void>.makeStream()
            let task = Task {
                for try await _ in try await bucket.get("a") { read.yield() }
            }
            for await _ in reading { break }
            task.cancel()
            let error = await #expect(throws: S3Error.self) { try await task.value }
            #expect(error?.kind == .cancelled)
        }
    }

    @Test("calls that were not answered can be cancelled, too", arguments: ["put", "get", "head", "list"])
    func cancelledCall(_ call: String) async throws {
        try await withCanned([.silent]) { store, bucket in
            let task = Task {
                switch call {
                case "put": try await bucket.put("a", Sample.buffers(Self.bytes))
                case "get": _ = try await bucket.get("a")
                case "head": _ = try await bucket.head("a")
                default: _ = try await bucket.list(prefix: "", after: nil, limit: 1)
                }
            }
            await store.isAsked()
            task.cancel()
            let error = await #expect(throws: S3Error.self) { try await task.value }
            #expect(error?.kind == .cancelled)
            #expect(store.seen.count == 1)
        }
    }

    @Test("downloads that are dropped, or read to their end, free their connections")
    func connections() async throws {
        try await withCanned([Self.object], { $0.connectionLimit = 1 }) { store, bucket in
            for index in 0..<6 {
                let download = try await bucket.get("a")
                if index % 3 == 0 { continue }
                var count = 0
                for try await piece in download {
                    count += piece.readableBytes
                    if index % 3 == 1 && count < Self.bytes.count { break }
                }
            }
            #expect(store.seen.count == 6)
        }
    }
}
