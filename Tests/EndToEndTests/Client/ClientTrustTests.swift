// The certificates that the client library trusts, such as a server's own, and its errors for the others.

import BlobClient
import BlobCore
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import blobd

@Suite("Whom the client trusts", .inTurn)
struct ClientTrustTests {
    /// Uploads three bytes. Nothing is tried again.
    private static func upload(
        to server: ServerProcess, at address: String, _ trust: BlobServiceClient.Configuration.Trust
    ) async throws {
        var configuration = BlobServiceClient.Configuration()
        configuration.trust = trust
        let client = try BlobServiceClient(address, token: server.adminToken(), configuration: configuration)
        let isDone = Mutex(false)
        let isTriedAgain = Mutex(false)
        defer { #expect(!isTriedAgain.withLock { $0 }) }
        let progress: @Sendable (TransferEvent) -> Void = { event in
            if case .retrying = event { isTriedAgain.withLock { $0 = true } }
        }
        let file = try await client.upload(progress: progress) {
            isDone.withLock { isDone in
                defer { isDone = true }
                return isDone ? nil : ByteBuffer(bytes: [1, 2, 3])
            }
        }
        #expect(file.digest == BlobDigest(of: [1, 2, 3]).hex)
        await client.shutdown()
    }

    /// An authority, and a certificate of it for 127.0.0.1.
    private static func makeCertificates(in folder: TemporaryFolder) async throws {
        let usual = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-x509"]
        let authority = ["-subj", "/CN=authority", "-keyout", "authority.key", "-out", "authority.pem"]
        let server = [
            "-CA", "authority.pem", "-CAkey", "authority.key", "-subj", "/CN=server", "-keyout", "key.pem", "-out",
            "certificate.pem", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE",
        ]
        for arguments in [authority, server] {
            let made = try await ChildProcess.run(["/usr/bin/openssl", "req"] + usual + arguments, in: folder.path)
            guard made.end == .code(0) else { throw Failure("openssl: \(made.errors)") }
        }
    }

    @Test(
        "nobody that the system does not know, whom a file names for its own host, or anybody when told so",
        .enabled(if: Needs.openSSL))
    func trust() async throws {
        let folder = try TemporaryFolder()
        try await Self.makeCertificates(in: folder)
        let names = ["--tls-certificate", "certificate.pem", "--tls-key", "key.pem"]
        let flags = names.map { $0.hasPrefix("--") ? $0 : folder.path + "/" + $0 } + ["--listen", "0.0.0.0:0"]
        try await withServer(flags) { server in
            let address = "https://127.0.0.1:\(server.port)"
            let authority = BlobServiceClient.Configuration.Trust.certificates(path: folder.path + "/authority.pem")
            try await Self.upload(to: server, at: address, authority)
            try await Self.upload(to: server, at: address, .anything)
            for (address, trust) in [(address, .system), ("https://127.0.0.2:\(server.port)", authority)] {
                let error = await #expect(throws: BlobClientError.self) {
                    try await Self.upload(to: server, at: address, trust)
                }
                guard case .untrusted = error else { throw Failure("\(String(describing: error))") }
            }
        }
    }

    @Test("a certificate whose time is over is not trusted, even where it is known")
    func expired() async throws {
        let folder = try TemporaryFolder()
        let long = Date(timeIntervalSince1970: 0)
        let paths = try SelfSignedCertificate.keep(in: folder.path, hostName: nil, now: long)
        let flags = ["--tls-certificate", paths.certificate, "--tls-key", paths.key]
        try await withServer(flags) { server in
            let error = await #expect(throws: BlobClientError.self) {
                try await Self.upload(
                    to: server, at: "https://127.0.0.1:\(server.port)",
                    .certificates(path: paths.certificate))
            }
            guard case .untrusted(let words) = error else { throw Failure("\(String(describing: error))") }
            #expect(words.contains("its time is over"))
        }
    }

    @Test("http:// to a server with TLS says what is wrong with the address")
    func secure() async throws {
        try await withServer(["--tls-self-signed"]) { server in
            var configuration = BlobServiceClient.Configuration()
            configuration.retries.triesWithoutProgress = 1
            let client = try BlobServiceClient("http://127.0.0.1:\(server.port)", configuration: configuration)
            let error = await #expect(throws: BlobClientError.self) { try await client.files() }
            guard case .connection(let words) = error else { throw Failure("\(String(describing: error))") }
            #expect(words.contains("its address begins with https://"), "\(words)")
            await client.shutdown()
        }
    }

    @Test("a file without certificates is told at once", arguments: ["/nowhere", "/dev/null"])
    func noCertificates(_ path: String) {
        var configuration = BlobServiceClient.Configuration()
        configuration.trust = .certificates(path: path)
        #expect(throws: BlobClientError.self) {
            try BlobServiceClient("https://127.0.0.1:1", configuration: configuration)
        }
    }

    @Test("https:// to a server without TLS says what is wrong with the address")
    func plaintext() async throws {
        let server = try await ServerProcess.shared
        let client = try BlobServiceClient("https://127.0.0.1:\(server.port)")
        let error = await #expect(throws: BlobClientError.self) { try await client.files() }
        let words = "it is no TLS; if the server speaks plain HTTP, its address begins with http://"
        #expect(error == .unexpectedAnswer(words))
        await client.shutdown()
    }
}
