// Bad input: the errors of a server that cannot start. A clear message, the right exit code, never a trap.

import Foundation
import Testing

/// Runs `blobd serve` where it must end by itself, and returns its outcome. `arguments` come after `serve`.
private func serve(
    _ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:]
) async throws -> ChildProcess.Outcome {
    try await ChildProcess.run(
        [ServerProcess.executable, "serve"] + arguments, in: folder.path, environment: environment)
}

/// Ended by itself with this code, and tells the fault on standard error, naming each of `names`.
private func expect(
    _ outcome: ChildProcess.Outcome, code: Int32, naming names: [String],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(outcome.end == .code(code), "\(outcome)", sourceLocation: sourceLocation)
    for name in names {
        #expect(outcome.errors.contains(name), "must name \(name): \(outcome)", sourceLocation: sourceLocation)
    }
    #expect(!outcome.output.contains("ready"), "\(outcome)", sourceLocation: sourceLocation)
    for trap in ["Fatal error", "Stack dump", ".swift:"] {
        #expect(!outcome.errors.contains(trap), "\(outcome)", sourceLocation: sourceLocation)
    }
    #expect(outcome.errors.count < 2000, "a message, not a dump: \(outcome)", sourceLocation: sourceLocation)
}

@Suite("A data directory that cannot be used", .inTurn)
struct DataDirectoryTests {
    private func start(_ data: String, in folder: TemporaryFolder) async throws -> ChildProcess.Outcome {
        try await serve(["--data", data, "--listen", "127.0.0.1:0"], in: folder)
    }

    @Test("an empty or missing one is made, for its owner only")
    func missing() async throws {
        try await withServer { server in
            let attributes = try FileManager.default.attributesOfItem(atPath: server.data)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
        }
    }

    @Test("in a folder that is missing")
    func missingParent() async throws {
        let folder = try TemporaryFolder()
        expect(try await start(folder.path + "/none/data", in: folder), code: 1, naming: ["none/data"])
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/none"))
    }

    @Test("a file in its place")
    func file() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(Array("precious".utf8), to: "data")
        expect(try await start(file, in: folder), code: 1, naming: [file])
        #expect(try folder.read("data") == Array("precious".utf8))
    }

    @Test("a file in the place of a folder in it", arguments: ["uploads", "blobs"])
    func fileInside(_ name: String) async throws {
        let folder = try TemporaryFolder()
        let data = folder.path + "/data"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
        _ = try folder.write([], to: "data/" + name)
        expect(try await start(data, in: folder), code: 1, naming: [name])
    }

    @Test("read-only", .enabled(if: geteuid() != 0, "permissions do not bind root"))
    func readOnly() async throws {
        let folder = try TemporaryFolder()
        let data = folder.path + "/data"
        try FileManager.default.createDirectory(
            atPath: data, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o500])
        expect(try await start(data, in: folder), code: 1, naming: [data])
    }

    @Test("on a full disk", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func full() async throws {
        let folder = try TemporaryFolder()
        let data = folder.path + "/data"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
        // Every write to it finds the disk full.
        try FileManager.default.createSymbolicLink(atPath: data + "/admin-token", withDestinationPath: "/dev/full")
        expect(try await start(data, in: folder), code: 1, naming: ["admin-token"])
    }

    @Test("locked by another server, which goes on")
    func locked() async throws {
        try await withServer { server in
            expect(try await start(server.data, in: server.folder), code: 1, naming: [server.data])
            #expect(try await server.admin().send(.files()).status == 200)
        }
    }

    @Test("from a newer format; nothing in it is touched")
    func newerFormat() async throws {
        try await withServer { server in
            _ = try await server.admin().publish(Sample.bytes(10))
            #expect(try await server.stop() == .code(0))
            let database = try self.database(of: server)
            var bytes = try server.folder.read(database)
            // The header of an SQLite file holds the application's own format number (`PRAGMA user_version`) there.
            bytes.replaceSubrange(60..<64, with: [0, 0x0f, 0, 0])
            _ = try server.folder.write(bytes, to: database)
            expect(try await start(server.data, in: server.folder), code: 1, naming: ["newer"])
            #expect(try server.folder.read(database) == bytes)
        }
    }

    enum Damage: CaseIterable, Sendable {
        case otherFile, cutShort, garbled

        func damaged(_ bytes: [UInt8]) throws -> [UInt8] {
            switch self {
            case .otherFile: Array("This is not a database.\n".utf8)
            case .cutShort: Array(bytes[..<(bytes.count / 2)])
            case .garbled: Array(bytes[..<100]) + (try Sample.bytes(bytes.count - 100))
            }
        }
    }

    @Test("with a damaged database; nothing in it is touched", arguments: Damage.allCases)
    func damaged(_ damage: Damage) async throws {
        try await withServer { server in
            _ = try await server.admin().publish(Sample.bytes(10))
            #expect(try await server.stop() == .code(0))
            let database = try self.database(of: server)
            let bytes = try damage.damaged(server.folder.read(database))
            _ = try server.folder.write(bytes, to: database)
            expect(try await start(server.data, in: server.folder), code: 1, naming: ["database"])
            #expect(try server.folder.read(database) == bytes)
        }
    }

    /// The catalog's file, by its first bytes, as a path in the server's folder.
    private func database(of server: ServerProcess) throws -> String {
        let files = try server.files().map { $0.path.replacing(server.folder.path + "/", with: "") }
        let found = try files.first { try server.folder.read($0).starts(with: Array("SQLite format 3".utf8)) }
        return try #require(found)
    }
}

@Suite("Settings that cannot be", .inTurn)
struct BadSettingsTests {
    @Test(
        "contradictory or malformed: exit code 64 and a message that names the key",
        arguments: [
            (["--tls-certificate", "a.pem"], "tls-key"), (["--tls-key", "a.pem"], "tls-certificate"),
            (["--tls-self-signed", "--tls-certificate", "a.pem", "--tls-key", "b.pem"], "tls-self-signed"),
            (["--listen", "0.0.0.0:0"], "allow-plaintext"), (["--listen", "[::]:0"], "allow-plaintext"),
            (["--listen", "nonsense"], "listen"), (["--listen", "127.0.0.1:99999"], "listen"),
            (["--max-blob-size", "banana"], "max-blob-size"), (["--max-blob-size", "-1"], "max-blob-size"),
            (["--max-blob-size", "99999999999TiB"], "max-blob-size"),
            (["--max-open-uploads", "many"], "max-open-uploads"),
            (["--quota", "1.5.5"], "quota"), (["--min-free-space", "9223372036854775808"], "min-free-space"),
            (["--upload-expiry", "5parsecs"], "upload-expiry"), (["--temporary-expiry", ""], "temporary-expiry"),
            (["--reclaim-interval", "-5s"], "reclaim-interval"),
            (["--reclaim-grace", "9999999999999d"], "reclaim-grace"),
            (["--header-timeout", "soon"], "header-timeout"), (["--body-timeout", "1"], "body-timeout"),
            (["--idle-timeout", "x"], "idle-timeout"), (["--shutdown-timeout", "x"], "shutdown-timeout"),
            (["--log-level", "loud"], "log-level"), (["--log-format", "xml"], "log-format"),
            (["--cross-origin-resource-policy", "any"], "cross-origin-resource-policy"),
            (["--private-downloads", "maybe"], "maybe"), (["--no-such-setting", "1"], "no-such-setting"),
            (["--config", "missing.yaml"], "missing.yaml"),
        ])
    func flags(_ flags: [String], _ name: String) async throws {
        let folder = try TemporaryFolder()
        let data = flags.contains("--listen") ? ["--data", "data"] : ["--data", "data", "--listen", "127.0.0.1:0"]
        expect(try await serve(data + flags, in: folder), code: 64, naming: [name])
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/data"), "nothing has been made")
    }

    @Test(
        "in the environment: unknown, or malformed",
        arguments: [("BLOBD_NO_SUCH_SETTING", "1"), ("BLOBD_MAX_BLOB_SIZ", "1KiB"), ("BLOBD_MAX_BLOB_SIZE", "banana")])
    func environment(_ name: String, _ value: String) async throws {
        let folder = try TemporaryFolder()
        let outcome = try await serve(["--listen", "127.0.0.1:0"], in: folder, environment: [name: value])
        expect(outcome, code: 64, naming: [name])
    }

    @Test(
        "in the file: unknown, malformed, or no settings at all",
        arguments: [
            ("{\"no-such-setting\": \"1\"}", "no-such-setting"), ("{\"max-blob-size\": \"banana\"}", "max-blob-size"),
            ("{\"quota\": ", "settings"), ("tls-key: a.pem", "tls-certificate"),
        ])
    func file(_ text: String, _ name: String) async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(Array(text.utf8), to: "blobd.yaml")
        let outcome = try await serve(["--listen", "127.0.0.1:0", "--config", file], in: folder)
        expect(outcome, code: 64, naming: [name])
    }

    @Test("an address that is taken: exit code 1")
    func addressTaken() async throws {
        try await withServer { server in
            let folder = try TemporaryFolder()
            let address = "127.0.0.1:\(server.port)"
            expect(try await serve(["--data", "data", "--listen", address], in: folder), code: 1, naming: [address])
        }
    }

    @Test("a start that failed for its address has made a token; each start tells where it lies until it is revoked")
    func tokenAfterFailedStart() async throws {
        try await withServer { other in
            let server = try ServerProcess()
            let token = server.data + "/admin-token"
            let taken = ["--data", server.data, "--listen", "127.0.0.1:\(other.port)"]
            expect(try await serve(taken, in: server.folder), code: 1, naming: ["cannot listen"])
            for _ in 1...2 {
                try await server.start()
                let child = try #require(server.child)
                _ = try await child.output.line { $0.contains("token revoke admin") }
                #expect(child.output.soFar.contains(token), "\(child.output.soFar)")
                #expect(try await server.admin().send(.files()).status == 200)
                #expect(try await server.stop() == .code(0))
            }
            #expect(try await server.command(["token", "revoke", "admin", "--data", server.data]).end == .code(0))
        }
    }

    @Test("certificates that cannot be read")
    func certificates() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(Array("nonsense".utf8), to: "bad.pem")
        for path in ["missing.pem", file] {
            let flags = ["--data", "data", "--listen", "127.0.0.1:0", "--tls-certificate", path, "--tls-key", path]
            let outcome = try await serve(flags, in: folder)
            #expect(outcome.end == .code(1) || outcome.end == .code(64), "\(outcome)")
            #expect(outcome.errors.contains(path), "\(outcome)")
        }
    }

    @Test(
        "unknown commands and options: exit code 64",
        arguments: [["frobnicate"], ["token", "frobnicate"], ["token", "create"]])
    func commands(_ arguments: [String]) async throws {
        let folder = try TemporaryFolder()
        let outcome = try await ChildProcess.run([ServerProcess.executable] + arguments, in: folder.path)
        expect(outcome, code: 64, naming: [])
        #expect(!outcome.errors.isEmpty)
    }
}
