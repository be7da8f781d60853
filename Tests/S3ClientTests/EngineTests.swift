// Objects in a real store.

import Crypto
import Foundation
import NIOCore
import Testing

@testable import S3Client

@Suite("Objects in a real store", .timeLimit(.minutes(10)))
struct EngineTests {
    @Test("what was put can be read, whole and in part", arguments: [0, 1, 100, 65_536, 3_000_000])
    func putAndGet(_ count: Int) async throws {
        try await withBucket { bucket, prefix in
            let bytes = Sample.bytes(count)
            let key = prefix + "object"
            try await bucket.put(key, Sample.buffers(bytes))
            #expect(try await bucket.bytes(key) == bytes)
            let info = try #require(try await bucket.head(key))
            #expect(info.size == Int64(count))
            #expect(info.eTag == "\"\(Hexadecimal.text(Insecure.MD5.hash(data: Data(bytes))))\"")
            #expect(abs(info.lastModified.timeIntervalSinceNow) < 60)
            let download = try await bucket.get(key)
            #expect(download.info == info && download.range == 0..<Int64(count))
            guard count >= 100 else { return }
            #expect(try await bucket.bytes(key, range: 10..<20) == Array(bytes[10..<20]))
            #expect(try await bucket.bytes(key, range: 90..<Int64.max) == Array(bytes[90...]))
            let part = try await bucket.get(key, range: 99..<1_000_000_000)
            #expect(part.info == info && part.range == 99..<Int64(count))
        }
    }

    @Test("an object is read by the ETag that its put or its completion told, and no other one under its key")
    func onlyThisObject() async throws {
        try await withBucket { bucket, prefix in
            let (key, bytes) = (prefix + "object", Sample.bytes(1000))
            let first = try await bucket.put(key, Sample.buffers(bytes))
            let upload = try await bucket.createMultipartUpload(key)
            let whole = try await bucket.get(key, eTag: first)
            #expect(whole.info.eTag == first)
            let sent = try await bucket.uploadPart(upload, number: 1, Sample.buffers(bytes))
            let second = try await bucket.completeMultipartUpload(upload, parts: [sent])
            let part = try await bucket.get(key, range: 5..<10, eTag: second)
            #expect(part.info.eTag == second)
            for range in [nil, 5..<10] as [Range<Int64>?] {
                let error = await #expect(throws: S3Error.self) {
                    try await bucket.get(key, range: range, eTag: first)
                }
                #expect(error?.kind == .preconditionFailed)
            }
        }
    }

    @Test("a range that holds nothing is refused", arguments: [-1..<5, 5..<5, 100..<101, 5000..<6000])
    func emptyRange(_ range: Range<Int64>) async throws {
        try await withBucket { bucket, prefix in
            try await bucket.put(prefix + "a", Sample.buffers(Sample.bytes(100)))
            let error = await #expect(throws: S3Error.self) { try await bucket.get(prefix + "a", range: range) }
            #expect(error?.kind == .invalidRange)
        }
    }

    @Test("a download can be iterated over twice")
    func twice() async throws {
        try await withBucket { bucket, prefix in
            let bytes = Sample.bytes(200_000)
            try await bucket.put(prefix + "a", Sample.buffers(bytes))
            let download = try await bucket.get(prefix + "a", range: 7..<150_000)
            for _ in 0..<2 {
                var read: [UInt8] = []
                for try await piece in download { read += piece.readableBytesView }
                #expect(read == Array(bytes[7..<150_000]))
            }
        }
    }

    @Test("a hash that the caller has is used, and a wrong one refused")
    func givenHash() async throws {
        try await withBucket { bucket, prefix in
            let bytes = Sample.bytes(100_000)
            let hash = Array(SHA256.hash(data: bytes))
            try await bucket.put(prefix + "right", Sample.buffers(bytes), sha256: hash)
            #expect(try await bucket.bytes(prefix + "right") == bytes)
            let error = await #expect(throws: S3Error.self) {
                try await bucket.put(prefix + "wrong", Sample.buffers(bytes), sha256: hash.reversed())
            }
            #expect(error?.kind == .checksumMismatch, "\(String(describing: error))")
            #expect(try await bucket.head(prefix + "wrong") == nil)
        }
    }

    @Test("what is not there is not found")
    func missing() async throws {
        try await withBucket { bucket, prefix in
            let info = try await bucket.head(prefix + "nothing")
            #expect(info == nil)
            let error = await #expect(throws: S3Error.self) { try await bucket.get(prefix + "nothing") }
            #expect(error?.kind == .notFound && error?.code == "NoSuchKey" && error?.isRetryable == false)
            #expect(error?.requestID?.isEmpty == false)
        }
    }

    static let awkward = [
        "a b", "a+b", "100%", "a%20b", "~", "a//b", "a/", "&=?#@:;,$", "'()*!", "<xml>&amp;\"\\",
        "\u{fc}/\u{65e5}\u{672c}",
        "e\u{301}", "\u{1f98a}", " a ", "tab\there", "a/../b", "..", "x\u{1}y", "line\nbreak",
        String(repeating: "k", count: 900),
    ]

    @Test("keys are kept as they are", arguments: awkward)
    func keys(_ name: String) async throws {
        try await withBucket { bucket, prefix in
            let key = prefix + name
            try await bucket.put(key, [ByteBuffer(string: name)])
            #expect(try await bucket.bytes(key) == Array(name.utf8))
            #expect(try await bucket.head(key)?.size == Int64(name.utf8.count))
            #expect(try await bucket.list(prefix: prefix, after: nil, limit: 10).entries.map(\.key) == [key])
            #expect(try await bucket.delete([key, prefix + "nothing"]) == [:])
            #expect(try await bucket.head(key) == nil)
        }
    }

    @Test("lists go on page by page, in order")
    func listing() async throws {
        try await withBucket { bucket, prefix in
            let names = Self.awkward.map { prefix + $0 }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            for (index, name) in names.enumerated() {
                try await bucket.put(name, [ByteBuffer(repeating: 1, count: index)])
            }
            try await bucket.put(String(prefix.dropLast()) + "0", [])
            var entries: [S3Entry] = []
            while true {
                let page = try await bucket.list(prefix: prefix, after: entries.last?.key, limit: 3)
                #expect(page.entries.count <= 3)
                entries += page.entries
                if !page.isTruncated { break }
            }
            #expect(entries.map(\.key) == names)
            #expect(entries.map(\.size) == Array(0..<Int64(names.count)))
            #expect(entries.allSatisfy { abs($0.lastModified.timeIntervalSinceNow) < 60 })
            let behind = try await bucket.list(prefix: prefix, after: prefix + "\u{1f98a}\u{1f98a}", limit: 1000)
            #expect(behind.entries.isEmpty && !behind.isTruncated)
            #expect(try await bucket.delete(names) == [:])
            #expect(try await bucket.list(prefix: prefix, after: nil, limit: 1000).entries.isEmpty)
        }
    }

    @Test("more than a thousand are deleted, and listed")
    func many() async throws {
        try await withBucket { bucket, prefix in
            let names = (10_000..<11_234).map { "\(prefix)\($0)" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for start in 0..<16 {
                    group.addTask {
                        for index in stride(from: start, to: names.count, by: 16) {
                            try await bucket.put(names[index], [])
                        }
                    }
                }
                try await group.waitForAll()
            }
            let page = try await bucket.list(prefix: prefix, after: nil, limit: 5000)
            #expect(page.entries.map(\.key) == Array(names.prefix(1000)) && page.isTruncated)
            #expect(try await bucket.delete(names) == [:])
            #expect(try await bucket.list(prefix: prefix, after: nil, limit: 1000).entries.isEmpty)
        }
    }

    @Test("a presigned address serves anybody, with the headers that were asked for")
    func presigned() async throws {
        try await withBucket { bucket, prefix in
            let key = prefix + "a b+\u{fc}.txt"
            try await bucket.put(key, [ByteBuffer(string: "hello")])
            let disposition = #"attachment; filename="a b.txt""#
            let address = bucket.presignedURL(
                for: key, expiresIn: .seconds(60), responseHeaders: ["Content-Disposition": disposition])
            let url = try #require(URL(string: address))
            let answer = try await PlainGet.get(url)
            #expect(answer.status == 200 && answer.body == "hello" && answer.disposition == disposition)
            let forged = try #require(URL(string: address.replacing("Signature=", with: "Signature=0")))
            #expect(try await PlainGet.get(forged).status == 403)
        }
    }

    @Test("a bucket that is there can be checked")
    func access() async throws {
        try await withBucket { bucket, _ in try await bucket.checkAccess() }
    }

    @Test("a bucket that is not there is named as such, and no missing object")
    func noBucket() async throws {
        try await withBucket({ $0.bucket = "there-is-none" }) { bucket, prefix in
            var error = await #expect(throws: S3Error.self) { try await bucket.checkAccess() }
            #expect(error?.kind == .noSuchBucket)
            error = await #expect(throws: S3Error.self) { try await bucket.put(prefix + "a", []) }
            #expect(error?.kind == .noSuchBucket)
            error = await #expect(throws: S3Error.self) { try await bucket.head(prefix + "a") }
            #expect(error?.kind == .noSuchBucket)
            error = await #expect(throws: S3Error.self) { try await bucket.list(prefix: "", after: nil, limit: 1) }
            #expect(error?.kind == .noSuchBucket)
        }
    }

    @Test("wrong keys are refused", arguments: ["accessKey", "secretKey"])
    func wrongKeys(_ which: String) async throws {
        try await withBucket({ configuration in
            if which == "accessKey" { configuration.credentials.accessKey += "x" }
            if which == "secretKey" { configuration.credentials.secretKey += "x" }
        }) { bucket, prefix in
            var error = await #expect(throws: S3Error.self) { try await bucket.checkAccess() }
            #expect(error?.kind == .accessDenied)
            error = await #expect(throws: S3Error.self) { try await bucket.put(prefix + "a", []) }
            #expect(error?.kind == .accessDenied && error?.isRetryable == false)
        }
    }

    @Test("a clock that is wrong is put right by the store's", arguments: [-7200.0, 7200])
    func clock(_ offset: TimeInterval) async throws {
        try await withBucket(clock: { Date(timeIntervalSinceNow: offset) }) { bucket, prefix in
            try await bucket.put(prefix + "a", [ByteBuffer(string: "a")])
            #expect(try await bucket.bytes(prefix + "a") == [97])
        }
    }
}
