// `blobd config --check`: every obstacle of a start, found without starting.

import Foundation
import Glibc
import Testing

@Suite("Checking settings", .inTurn)
struct ConfigCheckTests {
    private func config(
        _ flags: [String], in folder: TemporaryFolder, environment: [String: String] = [:]
    ) async throws -> ChildProcess.Outcome {
        try await ChildProcess.run(
            [ServerProcess.executable, "config"] + flags, in: folder.path, environment: environment)
    }

    private static let freePort = ["--listen", "127.0.0.1:0"]
    private static let missing = ["--tls-certificate", "no-certificate.pem", "--tls-key", "no-key.pem"]

    @Test("with nothing in the way: 0, and nothing is made")
    func fine() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await config(["--check", "--data", "data"] + Self.freePort, in: folder)
        #expect(outcome.end == .code(0) && outcome.errors == "", "\(outcome)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test("all that is in the way is told at once")
    func all() async throws {
        try await withServer { other in
            let folder = try TemporaryFolder()
            _ = try folder.write([1], to: "file")
            let flags = ["--check", "--data", "file", "--listen", "127.0.0.1:\(other.port)"] + Self.missing
            let outcome = try await config(flags, in: folder)
            #expect(outcome.end == .code(1) && outcome.output == "", "\(outcome)")
            for part in ["'no-certificate.pem'", "'no-key.pem'", "the directory file", "cannot listen on"] {
                #expect(outcome.errors.contains(part), "\(part) in \(outcome)")
            }
        }
    }

    @Test(
        "a data directory that a start would refuse",
        arguments: [("none/data", "none"), ("foreign", "foreign/letter"), ("broken", "broken/uploads")])
    func data(_ path: String, _ named: String) async throws {
        let folder = try TemporaryFolder()
        for name in ["foreign", "broken"] {
            try FileManager.default.createDirectory(
                atPath: folder.path + "/" + name, withIntermediateDirectories: false)
        }
        _ = try folder.write([1], to: "foreign/letter")
        _ = try folder.write([], to: "broken/uploads")
        let outcome = try await config(["--check", "--data", path] + Self.freePort, in: folder)
        #expect(outcome.end == .code(1) && outcome.errors.contains(named), "\(outcome)")
        let start = try await ChildProcess.run(
            [ServerProcess.executable, "serve", "--data", path] + Self.freePort, in: folder.path)
        #expect(start.end == .code(1), "a start says the same: \(start)")
    }

    @Test("a certificate and a key that do not fit, where both are there")
    func certificate() async throws {
        let folder = try TemporaryFolder()
        _ = try folder.write(Array("nonsense".utf8), to: "bad.pem")
        #expect(chmod(folder.path + "/bad.pem", 0o600) == 0)
        let flags = ["--check", "--tls-certificate", "bad.pem", "--tls-key", "bad.pem"] + Self.freePort
        let outcome = try await config(flags, in: folder)
        #expect(outcome.end == .code(1) && outcome.errors.contains("must be readable PEM files"), "\(outcome)")
    }

    @Test("beside the server that runs with them, settings can be tried: its address and directory are its own")
    func besideServer() async throws {
        try await withServer { server in
            let flags = ["--check", "--data", server.data, "--listen", "127.0.0.1:\(server.port)"]
            let outcome = try await config(flags, in: server.folder)
            #expect(outcome.end == .code(0), "\(outcome)")
            #expect(outcome.errors.contains("in use by its server") && outcome.errors.contains("cannot listen on"))
            #expect(try await server.admin().send(.files()).status == 200, "which goes on")
        }
    }

    @Test("of a stopped server nothing is changed")
    func unchanged() async throws {
        try await withServer { server in
            _ = try await server.admin().publish(Sample.bytes(10))
            #expect(try await server.stop() == .code(0))
            let before = try Set(server.files().map(\.path))
            let outcome = try await config(["--check", "--data", server.data] + Self.freePort, in: server.folder)
            #expect(outcome.end == .code(0), "\(outcome)")
            #expect(try Set(server.files().map(\.path)) == before)
        }
    }

    @Test("a database and a bucket that cannot be reached, and an authority that is not there, each told")
    func cloud() async throws {
        let environment = [
            "BLOBD_STORAGE": "cloud", "BLOBD_DATABASE": "postgresql://127.0.0.1:1/none?connect_timeout=2",
            "BLOBD_S3_BUCKET": "none", "BLOBD_S3_ACCESS_KEY": "none", "BLOBD_S3_SECRET_KEY": "none",
            "BLOBD_S3_ENDPOINT": "http://127.0.0.1:1",
        ]
        let folder = try TemporaryFolder()
        let outcome = try await config(["--check"] + Self.freePort, in: folder, environment: environment)
        #expect(outcome.end == .code(1), "\(outcome)")
        for part in ["The database cannot be reached", "the bucket: "] {
            #expect(outcome.errors.contains(part), "\(part) in \(outcome)")
        }
        let authority = ["--check", "--s3-certificate-authority", "no-authority.pem"]
        let named = try await config(authority + Self.freePort, in: folder, environment: environment)
        #expect(named.end == .code(1) && named.errors.contains("'no-authority.pem'"), "\(named)")
    }

    @Test("without --check the settings are shown, and files that are not there are an error")
    func shown() async throws {
        let outcome = try await config(Self.missing, in: TemporaryFolder())
        #expect(outcome.end == .code(1) && outcome.output.contains("max-blob-size"), "\(outcome)")
        for file in ["'no-certificate.pem'", "'no-key.pem'"] {
            #expect(outcome.errors.contains(file), "\(outcome)")
        }
    }
}
