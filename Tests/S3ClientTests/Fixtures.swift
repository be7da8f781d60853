// The needs of all tests of this target: the bucket of the engines, keys of a test's own, and bytes.

import Foundation
import Logging
import NIOCore
import Testing

@testable import S3Client

/// A failure that kept a test from coming to its check.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension S3Configuration {
    /// Of the engines beside which the tests run, with short pauses.
    static func engine() throws -> S3Configuration {
        let environment = ProcessInfo.processInfo.environment
        func value(_ name: String) throws -> String {
            guard let value = environment["BLOBD_TEST_S3_\(name)"], !value.isEmpty else {
                throw Failure(
                    "BLOBD_TEST_S3_\(name) is not set; start the engines: Tests/engines/run swift test --filter S3Client"
                )
            }
            return value
        }
        var configuration = S3Configuration(
            endpoint: try value("ENDPOINT"), bucket: try value("BUCKET"),
            credentials: Credentials(accessKey: try value("ACCESS_KEY"), secretKey: try value("SECRET_KEY")))
        configuration.retries.firstPause = .milliseconds(10)
        return configuration
    }
}

/// The engines' bucket, and a prefix that no other test uses; both gone afterwards.
func withBucket(
    _ change: (inout S3Configuration) -> Void = { _ in }, clock: @escaping @Sendable () -> Date = { Date() },
    _ body: (S3Bucket, String) async throws -> Void
) async throws {
    var configuration = try S3Configuration.engine()
    change(&configuration)
    let bucket = try S3Bucket(configuration, logger: Logger(label: "test"), clock: clock)
    try await run {
        try await body(bucket, "test-\(UInt64.random(in: 0 ... .max))/")
    } finally: {
        await bucket.shutdown()
    }
}

/// A server that gives these replies, the last again and again, and a client of it with short pauses; both gone
/// afterwards. Its objects are in a bucket `blobs`.
func withCanned(
    _ replies: [Canned], _ change: (inout S3Configuration) -> Void = { _ in },
    _ body: (CannedStore, S3Bucket) async throws -> Void
) async throws {
    let store = try await CannedStore.start(replies)
    var configuration = S3Configuration(
        endpoint: "http://127.0.0.1:\(store.port)", bucket: "blobs",
        credentials: S3Configuration.Credentials(accessKey: "key", secretKey: "secret"))
    configuration.retries.firstPause = .milliseconds(1)
    configuration.retries.longestPause = .milliseconds(2)
    configuration.circuitBreaking.failures = 1000
    change(&configuration)
    let bucket = try S3Bucket(configuration, logger: Logger(label: "test"))
    try await run {
        try await body(store, bucket)
    } finally: {
        await bucket.shutdown()
        try await store.stop()
    }
}

private func run(_ body: () async throws -> Void, finally end: () async throws -> Void) async throws {
    let result: Result<Void, any Error>
    do {
        result = .success(try await body())
    } catch {
        result = .failure(error)
    }
    try await end()
    try result.get()
}

extension S3Bucket {
    /// All bytes of an object, or of a range of it.
    func bytes(_ key: String, range: Range<Int64>? = nil) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await piece in try await get(key, range: range) { bytes += piece.readableBytesView }
        return bytes
    }
}

enum Sample {
    /// Bytes that no other seed has. xorshift64*.
    static func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count {
                state ^= state >> 12
                state ^= state << 25
                state ^= state >> 27
                buffer[index] = UInt8(truncatingIfNeeded: (state &* 0x2545_f491_4f6c_dd1d) >> 56)
            }
            initialized = count
        }
    }

    /// The same in pieces of uneven length.
    static func buffers(_ bytes: [UInt8], of size: Int = 65_521) -> [ByteBuffer] {
        stride(from: 0, to: bytes.count, by: size).map { ByteBuffer(bytes: bytes[$0..<min(bytes.count, $0 + size)]) }
    }
}
