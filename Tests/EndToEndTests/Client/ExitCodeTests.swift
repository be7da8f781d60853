// How every command of `blob` ends, whatever the error.

import Foundation
import Testing

@Suite("blob's exit codes", .inTurn)
struct ExitCodeTests {
    /// A command line for each command that speaks to a server. `$id` is a file, `$digest` its blob; `$upload` is no
    /// upload.
    static let asking = [
        "upload file", "upload --recursive .", "download $digest -o copy", "list", "info $id", "delete $id",
        "status $upload", "cancel $upload", "login name </dev/null",
    ]

    /// Flags that are wrong wherever they are given.
    static let wrong = [
        "--server ftp://files.example.com", "--server nowhere", "--server ''", "--server http://",
        "--ca /nowhere/ca.pem", "--ca /dev/null", "--ca file --insecure", "--token-file /nowhere/token",
        "--token-file /dev/null", "--token-file words", "--no-such-flag",
    ]

    /// One home for all commands that change nothing.
    private static let unchanged = Task { try await home() }

    private static func home() async throws -> BlobTool {
        let blob = try await BlobTool.shared()
        _ = try blob.home.write(try Sample.bytes(1000), to: "file")
        _ = try blob.home.write(Array("two words".utf8), to: "words")
        return blob
    }

    private static func run(_ line: String, in blob: BlobTool? = nil) async throws -> ChildProcess.Outcome {
        let prepared = """
            upload=$(cat /proc/sys/kernel/random/uuid)
            read -r digest rest < <($blob upload file --quiet)
            read -r id rest < <($blob list)
            """
        let tool = if let blob { blob } else { try await home() }
        return try await tool.shell("\(prepared)\n\(line)")
    }

    @Test("settings that cannot be meant end with 2 and one message", arguments: asking)
    func settings(command: String) async throws {
        let blob = try await Self.unchanged.value
        let (id, digest) = (UUID().uuidString.lowercased(), String(repeating: "0", count: 64))
        for flags in Self.wrong {
            let line = "upload=\(id); id=\(id); digest=\(digest); $blob \(Self.placed(flags, in: command))"
            let outcome = try await blob.shell(line)
            #expect(outcome.end == .code(2) && outcome.output == "", "\(flags): \(outcome)")
            #expect(outcome.errors.contains("blob: ") || outcome.errors.contains("Error: "), "\(flags): \(outcome)")
        }
    }

    /// The flags behind the command's name.
    private static func placed(_ flags: String, in command: String) -> String {
        let words = command.split(separator: " ", maxSplits: 1)
        return "\(words[0]) \(flags) \(words.dropFirst().first ?? "")"
    }

    @Test("an empty variable ends with 2", arguments: asking, ["BLOB_TOKEN", "BLOB_SERVER"])
    func variables(command: String, name: String) async throws {
        // A new token is asked for where one is stored.
        if command.hasPrefix("login") && name == "BLOB_TOKEN" { return }
        let outcome = try await Self.run("\(name)= $blob \(command)", in: Self.unchanged.value)
        #expect(outcome.end == .code(2) && outcome.output == "" && outcome.errors.contains(name), "\(outcome)")
    }

    @Test(
        "what the server refuses ends with 1",
        arguments: [
            "upload file", "list", "info $id", "delete $id", "status $upload", "cancel $upload",
            "login name <<<unknown",
        ])
    func refused(command: String) async throws {
        let outcome = try await Self.run("BLOB_TOKEN=unknown $blob \(command)")
        #expect(outcome.end == .code(1) && outcome.output == "" && outcome.errors.contains("token"), "\(outcome)")
    }

    @Test(
        "what is not there ends with 1",
        arguments: [
            "upload nothing", "download \(String(repeating: "0", count: 64)) -o copy", "info none", "delete none",
            "status $upload", "cancel $upload", "resume nothing", "hash nothing", "logout nothing",
        ])
    func missing(command: String) async throws {
        let outcome = try await Self.run("$blob \(command)")
        #expect(outcome.end == .code(1) && outcome.output == "" && outcome.errors.contains("blob: "), "\(outcome)")
    }

    @Test(
        "results that cannot be written end with 1, and it says why",
        arguments: [
            "upload file", "upload file --json", "upload file --quiet", "upload --recursive .",
            "download $digest -o copy", "download $digest -o copy --json", "download $digest -o -", "list",
            "list --json", "info $id", "info $id --json", "delete $id", "delete $id --json", "hash file",
            "hash file --json", "--help", "help upload", "--version", "--generate-completion-script bash",
        ])
    func fullOutput(command: String) async throws {
        let outcome = try await Self.run("$blob \(command) >/dev/full")
        #expect(outcome.end == .code(1), "\(outcome)")
        #expect(outcome.errors.contains("No space left"), "\(outcome)")
    }

    @Test(
        "whatever is done ends with 0",
        arguments: [
            "upload file", "upload --recursive .", "download $digest -o copy", "list", "info $id", "delete $id",
            "status", "resume", "hash file", "login name <<<$BLOB_TOKEN",
            "login name <<<$BLOB_TOKEN && $blob logout name",
            "--help", "--version",
        ])
    func done(command: String) async throws {
        let outcome = try await Self.run("$blob \(command)")
        #expect(outcome.end == .code(0), "\(outcome)")
    }
}
