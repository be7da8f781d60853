// How every command of `blobd` ends, whatever the error.

import Foundation
import Testing

@Suite("blobd's exit codes", .inTurn)
struct ServerExitCodeTests {
    /// Work that cannot be done is 1, but for `check`, whose 1 is damage.
    struct Command: Sendable, CustomTestStringConvertible {
        let line: String
        var failure: Int32 { line.hasPrefix("check") ? 2 : 1 }
        var testDescription: String { line }

        init(_ line: String) { self.line = line }
    }

    /// A command line for each command. `$id` is a name that nothing has.
    static let all = [
        "serve", "config", "token create $id", "token list", "token revoke $id", "check", "check --quick", "reclaim",
        "backup $id", "restore $id", "migrate --from local --to cloud",
    ].map(Command.init)

    private static let cloud = [
        "BLOBD_DATABASE": "postgresql://127.0.0.1:1/none?connect_timeout=2", "BLOBD_S3_BUCKET": "none",
        "BLOBD_S3_ACCESS_KEY": "none", "BLOBD_S3_SECRET_KEY": "none", "BLOBD_S3_ENDPOINT": "http://127.0.0.1:1",
    ]

    private func run(
        _ line: String, in folder: TemporaryFolder, environment: [String: String] = [:]
    ) async throws -> ChildProcess.Outcome {
        let known = ["blobd": ServerProcess.executable, "id": "none-" + UUID().uuidString.lowercased()]
        return try await ChildProcess.run(
            ["/bin/sh", "-c", line], in: folder.path, environment: environment.merging(known) { own, _ in own })
    }

    private func expect(
        _ outcome: ChildProcess.Outcome, code: Int32, naming name: String, _ command: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.end == .code(code), "\(command): \(outcome)", sourceLocation: sourceLocation)
        #expect(outcome.output == "", "\(command): \(outcome)", sourceLocation: sourceLocation)
        #expect(outcome.errors.contains(name), "\(command): \(outcome)", sourceLocation: sourceLocation)
    }

    @Test("a flag that is none: 64, and the flag is named", arguments: all)
    func flag(command: Command) async throws {
        let outcome = try await run("$blobd \(command.line) --no-such-flag", in: TemporaryFolder())
        expect(outcome, code: 64, naming: "--no-such-flag", command.line)
    }

    @Test("a setting that cannot be: 64, but 2 of a check", arguments: all)
    func setting(command: Command) async throws {
        let environment = ["BLOBD_LOG_FORMAT": "xml"]
        let outcome = try await run("$blobd \(command.line)", in: TemporaryFolder(), environment: environment)
        expect(outcome, code: command.failure == 2 ? 2 : 64, naming: "log-format", command.line)
    }

    @Test(
        "no data directory: 1, but 2 of a check; and none is made",
        arguments: all.filter { !["serve", "config"].contains($0.line) })
    func data(command: Command) async throws {
        let folder = try TemporaryFolder()
        let environment = command.line.hasPrefix("migrate") ? Self.cloud : [:]
        let outcome = try await run("$blobd \(command.line) --data none", in: folder, environment: environment)
        expect(outcome, code: command.failure, naming: "none", command.line)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test("results that cannot be written: 1, but 2 of a check, and it says why")
    func output() async throws {
        try await withServer { server in
            _ = try await server.admin().publish(Sample.bytes(1000))
            _ = try await server.command(["backup", "earlier", "--data", server.data])
            let commands = [
                "config", "token create lost", "token list", "check", "check --json --quick", "reclaim", "backup new",
                "restore earlier --data restored", "--help", "help", "help serve", "serve --help", "--version",
                "token --help", "token create --help", "--generate-completion-script bash",
            ]
            for command in commands.map(Command.init) {
                let data = command.line.contains("restore ") ? "" : "export BLOBD_DATA=data;"
                let outcome = try await run("\(data) $blobd \(command.line) >/dev/full", in: server.folder)
                expect(outcome, code: command.failure, naming: "No space left", command.line)
            }
            let tokens = try await server.command(["token", "list", "--data", server.data])
            #expect(tokens.output.contains("admin") && !tokens.output.contains("lost"), "nobody has seen its secret")
        }
    }

    @Test("whatever is done: 0")
    func done() async throws {
        try await withServer { server in
            let commands = [
                "config", "token create made", "token list", "token revoke made", "check", "reclaim", "backup new",
                "--help", "help", "--version", "serve --help", "help token",
            ]
            for command in commands {
                let outcome = try await run("$blobd \(command)", in: server.folder, environment: ["BLOBD_DATA": "data"])
                #expect(outcome.end == .code(0), "\(command): \(outcome)")
            }
        }
    }

    @Test("a server whose standard output cannot be written to serves, says so, and ends with 0")
    func serving() async throws {
        let folder = try TemporaryFolder()
        let line = "exec \(ServerProcess.executable) serve --data data --listen 127.0.0.1:0 >/dev/full"
        let child = try ChildProcess(["/bin/sh", "-c", line], in: folder.path)
        #expect(try await child.errors.line { $0.contains("No space left") } != nil)
        child.signal(SIGTERM)
        #expect(try await child.waitForEnd() == .code(0))
    }

    @Test(
        "without /proc, where the command line cannot be read: 1, and nothing is served", .enabled(if: Needs.mounting))
    func withoutCommandLine() async throws {
        // A thread that was started too early ended one of ten processes.
        for program in [ServerProcess.executable, BlobTool.executable].flatMap({ Array(repeating: $0, count: 20) }) {
            let folder = try TemporaryFolder()
            let line = "exec unshare --mount sh -c 'mount -t tmpfs none /proc && exec \(program) --version'"
            let outcome = try await run(line, in: folder)
            expect(outcome, code: 1, naming: "/proc is not mounted", program)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        }
    }
}
