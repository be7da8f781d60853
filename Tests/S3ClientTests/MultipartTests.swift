// Objects that a real store puts together.

import Foundation
import NIOCore
import Testing

@testable import S3Client

@Suite("Multipart uploads in a real store", .timeLimit(.minutes(10)))
struct MultipartTests {
    private static let mebibyte = 1 << 20

    @Test("parts become an object, sent and copied ones")
    func parts() async throws {
        try await withBucket { bucket, prefix in
            let first = Sample.bytes(5 * Self.mebibyte, seed: 1)
            let source = Sample.bytes(6 * Self.mebibyte, seed: 2)
            let last = Sample.bytes(1000, seed: 3)
            let key = prefix + "a b+\u{fc}"
            try await bucket.put(prefix + "source +\u{fc}", Sample.buffers(source))
            let upload = try await bucket.createMultipartUpload(key)
            let parts = [
                try await bucket.uploadPart(upload, number: 1, Sample.buffers(first)),
                try await bucket.copyPart(
                    upload, number: 2, from: prefix + "source +\u{fc}", range: 1000..<Int64(1000 + 5 * Self.mebibyte)),
                try await bucket.copyPart(upload, number: 3, from: prefix + "source +\u{fc}"),
                try await bucket.uploadPart(upload, number: 10_000, Sample.buffers(last)),
            ]
            #expect(try await bucket.head(key)?.size == nil)
            let eTag = try await bucket.completeMultipartUpload(upload, parts: parts)
            #expect(
                try await bucket.bytes(key) == first + source[1000..<1000 + 5 * Self.mebibyte] + source + last)
            #expect(try await bucket.head(key)?.eTag == eTag)
            #expect(try await bucket.listMultipartUploads(prefix: prefix).entries.isEmpty)
            #expect(
                try await bucket.completeMultipartUpload(upload, parts: parts) == eTag, "again, as after a lost reply")
            try await bucket.abortMultipartUpload(upload)
            #expect(try await bucket.head(key)?.eTag == eTag, "which does not harm it")
        }
    }

    @Test("an aborted upload is gone")
    func aborting() async throws {
        try await withBucket { bucket, prefix in
            let upload = try await bucket.createMultipartUpload(prefix + "a")
            let part = try await bucket.uploadPart(upload, number: 1, [ByteBuffer(string: "part")])
            try await bucket.abortMultipartUpload(upload)
            try await bucket.abortMultipartUpload(upload)
            var error = await #expect(throws: S3Error.self) {
                try await bucket.completeMultipartUpload(upload, parts: [part])
            }
            #expect(error?.kind == .noSuchUpload)
            error = await #expect(throws: S3Error.self) {
                try await bucket.uploadPart(upload, number: 2, [ByteBuffer(string: "part")])
            }
            #expect(error?.kind == .noSuchUpload)
            let info = try await bucket.head(prefix + "a")
            #expect(info == nil)
        }
    }

    @Test("what cannot be put together is refused, and can be mended")
    func refused() async throws {
        try await withBucket { bucket, prefix in
            let upload = try await bucket.createMultipartUpload(prefix + "a")
            let small = try await bucket.uploadPart(upload, number: 1, [ByteBuffer(string: "too small")])
            let last = try await bucket.uploadPart(upload, number: 2, [ByteBuffer(string: "last")])
            var error = await #expect(throws: S3Error.self) {
                try await bucket.completeMultipartUpload(upload, parts: [small, last])
            }
            #expect(error?.kind == .entityTooSmall)
            let large = try await bucket.uploadPart(upload, number: 1, Sample.buffers(Sample.bytes(5 * Self.mebibyte)))
            for wrong in [[large, S3Part(number: 2, eTag: small.eTag)], [large, S3Part(number: 3, eTag: last.eTag)]] {
                error = await #expect(throws: S3Error.self) {
                    try await bucket.completeMultipartUpload(upload, parts: wrong)
                }
                #expect(error?.kind == .invalidPart)
            }
            error = await #expect(throws: S3Error.self) {
                try await bucket.completeMultipartUpload(upload, parts: [])
            }
            #expect(error?.kind == .badRequest)
            error = await #expect(throws: S3Error.self) {
                try await bucket.copyPart(upload, number: 3, from: prefix + "nothing")
            }
            #expect(error?.kind == .notFound)
            try await bucket.completeMultipartUpload(upload, parts: [large, last])
            #expect(try await bucket.head(prefix + "a")?.size == Int64(5 * Self.mebibyte + 4))
        }
    }

    @Test("a wrong hash of a part is refused")
    func wrongHash() async throws {
        try await withBucket { bucket, prefix in
            let upload = try await bucket.createMultipartUpload(prefix + "a")
            let error = await #expect(throws: S3Error.self) {
                try await bucket.uploadPart(
                    upload, number: 1, [ByteBuffer(string: "part")], sha256: [UInt8](repeating: 0, count: 32))
            }
            #expect(error?.kind == .checksumMismatch)
            try await bucket.abortMultipartUpload(upload)
        }
    }

    @Test("uploads are listed page by page, several of one key too")
    func listing() async throws {
        try await withBucket { bucket, prefix in
            let keys = ["a b", "a b", "a+b", "b/\u{65e5}", "c&<d>", "e"].map { prefix + $0 }
            var begun: Set<S3MultipartUpload> = []
            for key in keys { begun.insert(try await bucket.createMultipartUpload(key)) }
            let outside = try await bucket.createMultipartUpload(String(prefix.dropLast()) + "0")
            var found: [S3UploadsPage.Entry] = []
            while true {
                let page = try await bucket.listMultipartUploads(prefix: prefix, after: found.last?.upload, limit: 2)
                #expect(page.entries.count <= 2)
                found += page.entries
                if !page.isTruncated { break }
            }
            #expect(found.map(\.upload.key) == keys)
            #expect(Set(found.map(\.upload)) == begun)
            #expect(found.allSatisfy { abs($0.initiated.timeIntervalSinceNow) < 60 })
            for upload in begun.union([outside]) { try await bucket.abortMultipartUpload(upload) }
            #expect(try await bucket.listMultipartUploads(prefix: prefix).entries.isEmpty)
        }
    }
}
