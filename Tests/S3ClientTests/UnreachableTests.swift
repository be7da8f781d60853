// A store that is not there, not trusted, or no longer asked.

import Foundation
import Logging
import NIOCore
import NIOSSL
import Testing

@testable import S3Client

@Suite("A store out of reach", .timeLimit(.minutes(10)))
struct UnreachableTests {
    @Test("nobody listens")
    func refused() async throws {
        var port = 0
        try await withCanned([Canned(200)]) { store, _ in port = store.port }
        let free = port
        try await withCanned([Canned(200)], { $0.endpoint = "http://127.0.0.1:\(free)" }) { _, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.put("a", []) }
            #expect(error?.kind == .unreachable && error?.isRetryable == true)
        }
    }

    @Test("there is no such host")
    func noHost() async throws {
        try await withCanned(
            [Canned(200)],
            {
                $0.endpoint = "http://there-is-none.invalid"
                $0.retries.tries = 1
            }
        ) { _, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.checkAccess() }
            #expect(error?.kind == .unreachable)
        }
    }

    @Test("after failures in a row, nothing is asked but by one probe")
    func circuit() async throws {
        let stored = Canned(200, headers: [("ETag", "\"e\"")])
        try await withCanned(
            [Canned(500), Canned(500), Canned(500), stored],
            {
                $0.retries.tries = 1
                $0.circuitBreaking.failures = 3
                $0.circuitBreaking.firstPause = .seconds(3600)
                $0.circuitBreaking.longestPause = .seconds(3600)
            }
        ) { store, bucket in
            for _ in 0..<3 {
                let error = await #expect(throws: S3Error.self) { try await bucket.put("a", []) }
                #expect(error?.kind == .serverError)
            }
            for _ in 0..<5 {
                let error = await #expect(throws: S3Error.self) { try await bucket.put("a", []) }
                #expect(error?.kind == .unreachable && error?.isRetryable == true)
            }
            #expect(store.seen.count == 3)
            try await bucket.checkAccess()
            try await bucket.put("a", [])
            #expect(store.seen.count == 5)
        }
    }

    @Test("a call stops trying when the circuit opens")
    func circuitWithinCall() async throws {
        try await withCanned(
            [Canned(500)],
            {
                $0.retries.tries = 100
                $0.circuitBreaking.failures = 3
                $0.circuitBreaking.firstPause = .seconds(3600)
                $0.circuitBreaking.longestPause = .seconds(3600)
            }
        ) { store, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.put("a", []) }
            #expect(error?.kind == .unreachable)
            #expect(store.seen.count == 3)
        }
    }

    @Test("refusals and too much at once do not open it")
    func refusals() async throws {
        let replies = Array(repeating: Canned.error(503, "SlowDown"), count: 6) + [Canned.error(403, "AccessDenied")]
        try await withCanned(
            replies,
            {
                $0.retries.tries = 1
                $0.circuitBreaking.failures = 2
            }
        ) { store, bucket in
            for _ in 0..<10 {
                let error = await #expect(throws: S3Error.self) { try await bucket.put("a", []) }
                #expect(error?.kind == .throttled || error?.kind == .accessDenied)
            }
            #expect(store.seen.count == 10)
        }
    }

    @Test("all connections are in use")
    func busy() async throws {
        try await withCanned(
            [.silent],
            {
                $0.connectionLimit = 1
                $0.connectTimeout = .seconds(5)
                $0.retries.tries = 1
            }
        ) { store, bucket in
            let first = Task { try await bucket.put("a", []) }
            await store.isAsked()
            let error = await #expect(throws: S3Error.self) { try await bucket.put("b", []) }
            #expect(error?.kind == .throttled)
            first.cancel()
            _ = await first.result
        }
    }

    @Test("after its end, a client asks nothing")
    func shutdown() async throws {
        try await withCanned([Canned(200)]) { store, _ in
            let bucket = try S3Bucket(
                S3Configuration(
                    endpoint: "http://127.0.0.1:\(store.port)", bucket: "blobs",
                    credentials: S3Configuration.Credentials(accessKey: "a", secretKey: "b")),
                logger: Logger(label: "test"))
            await bucket.shutdown()
            let error = await #expect(throws: S3Error.self) { try await bucket.put("a", []) }
            #expect(error?.kind == .cancelled)
        }
    }

    // MARK: TLS

    @Test("only the authority that was named is trusted, and only for its host")
    func certificates() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "s3-tls-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (certificate, key) = (folder.appending(path: "cert.pem").path, folder.appending(path: "key.pem").path)
        let openssl = try Process.run(
            URL(fileURLWithPath: "/usr/bin/openssl"),
            arguments: [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=store", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
            ])
        openssl.waitUntilExit()
        try #require(openssl.terminationStatus == 0)
        let context = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))))
        let store = try await CannedStore.start([Canned(200)], tls: context)
        let cases: [(host: String, authority: String?, kind: S3Error.Kind?)] = [
            ("localhost", certificate, nil), ("localhost", nil, .untrusted), ("127.0.0.1", certificate, .untrusted),
        ]
        for (host, authority, kind) in cases {
            var configuration = S3Configuration(
                endpoint: "https://\(host):\(store.port)", bucket: "blobs",
                credentials: S3Configuration.Credentials(accessKey: "a", secretKey: "b"))
            configuration.certificateAuthority = authority
            let bucket = try S3Bucket(configuration, logger: Logger(label: "test"))
            do throws(S3Error) {
                try await bucket.checkAccess()
                #expect(kind == nil)
            } catch {
                #expect(error.kind == kind, "\(host): \(error)")
            }
            await bucket.shutdown()
        }
        try await store.stop()
    }
}
