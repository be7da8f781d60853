// A server that means harm: nothing that it says reaches the terminal as it is, and no name leads anywhere.

import Foundation
import Testing

@Suite("blob and a hostile server", .inTurn)
struct HostileServerTests {
    /// The tool, and the flag that names the server.
    private static func withHostileServer(_ body: (BlobTool, String) async throws -> Void) async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/hostile.py"
        let blob = try await BlobTool.shared()
        let server = try ChildProcess(["/usr/bin/env", "python3", script], in: blob.home.path)
        let port = try #require(try await server.output.line { Int($0) != nil })
        try await body(blob, "--server=http://127.0.0.1:\(port)")
        server.signal(SIGKILL)
        _ = try await server.waitForEnd()
    }

    /// All but the ends of lines shows, and none of them is a line that the server has made.
    private func expectHarmless(_ outcome: ChildProcess.Outcome, _ arguments: [String]) {
        for text in [outcome.output, outcome.errors] {
            let active = text.unicodeScalars.filter { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: scalar != "\n"
                default: false
                }
            }
            #expect(active.isEmpty, "\(arguments): \(text.debugDescription)")
            #expect(!text.split(separator: "\n").contains { $0.hasPrefix("blob: done") }, "\(arguments): \(text)")
        }
    }

    private static let redirected = String(repeating: "a", count: 64)
    private static let refused = String(repeating: "b", count: 64)
    private static let id = "NzAwNTUxOTA5NzczMTQ4MTYw"
    private static let upload = "00000000-0000-4000-8000-000000000000"

    @Test(
        "each command shows its texts escaped",
        arguments: [
            (["list"], 0), (["list", "--long"], 0), (["list", "--json"], 0), (["find", "*"], 0), (["info", "-rf"], 2),
            (["info", "odd"], 0), (["info", "odd", "--json"], 0), (["info", id], 1), (["info", id, "--json"], 1),
            (["info", refused], 1), (["delete", id], 1), (["delete", id, "--json"], 1),
            (["delete", "--match", "*", "--dry-run"], 0), (["delete", "--match", "*", "--dry-run", "--json"], 0),
            (["delete", "--match", "*", "--yes"], 1), (["download", "--match", "*", "-o", "out/"], 1),
            (["download", "--match", "*.exe", "-o", "json/", "--json"], 0), (["download", "odd"], 1),
            (["download", "--match", "*", "--dry-run", "-o", "dry/"], 1), (["download", redirected], 1),
            (["download", redirected, "--json"], 1), (["download", refused, "--retries", "0"], 1),
            (["download", "-r", "d", "-o", "tree/"], 0), (["upload", "file"], 1), (["upload", "file", "--json"], 1),
            (["upload", "-r", "folder"], 1), (["status", upload], 1), (["cancel", upload], 1),
        ] as [([String], Int32)])
    func output(_ arguments: [String], _ code: Int32) async throws {
        try await Self.withHostileServer { blob, server in
            _ = try blob.home.write([1], to: "file")
            let words = [arguments[0], server] + arguments.dropFirst()
            _ = try await blob.shell("mkdir folder && echo 1 >folder/a")
            let outcome = try await blob.run(words)
            #expect(outcome.end == .code(code), "\(arguments): \(outcome)")
            #expect(!(outcome.output + outcome.errors).isEmpty, "\(arguments)")
            expectHarmless(outcome, arguments)
            if outcome.end == .code(0) || code == 1 {
                let shown = try await blob.onTerminal(words, typing: "y")
                #expect(
                    !shown.output.unicodeScalars.contains { ["\u{202E}", "\u{9B}", "\u{7}"].contains($0) }, "\(shown)")
            }
        }
    }

    @Test("downloads get names that show, hide nothing and are no options, in every folder of a tree too")
    func names() async throws {
        try await Self.withHostileServer { blob, server in
            let some = try await blob.run(["download", server, "--match", "*.exe", "--match", "[.-]*", "-o", "out/"])
            #expect(some.end == .code(0), "\(some)")
            let names = try await blob.shell("cd out && ls -A").output.split(separator: "\n").map(String.init).sorted()
            #expect(names.count == 3 && names.contains("_.bashrc") && names.contains("_-rf"), "\(names)")
            let tree = try await blob.run(["download", server, "-r", "d", "-o", "tree/"])
            #expect(tree.end == .code(0), "\(tree)")
            let paths = try await blob.shell("cd tree && find . -type f").output.split(separator: "\n").map(String.init)
            #expect(paths.count == 3 && paths.allSatisfy { $0.hasPrefix("./d/_.ssh/_-o_[31m") }, "\(paths)")
            for name in names + paths {
                #expect(name.unicodeScalars.allSatisfy { $0.isASCII && $0.value >= 0x20 && $0.value < 0x7F }, "\(name)")
            }
            let trusted = try await blob.run(
                ["download", server, "--match", "[.-]*", "--trust-names", "-o", "trusted/"])
            #expect(trusted.end == .code(0), "\(trusted)")
            #expect(try await blob.shell("ls -A trusted").output == "-rf\n.bashrc\n")
        }
    }

    @Test("the name that comes with a digest's bytes is no better")
    func proposedName() async throws {
        try await Self.withHostileServer { blob, server in
            let came = try await blob.run(["download", server, Sample.digest(of: Array("one".utf8))])
            #expect(came.end == .code(0) && came.output.hasSuffix("  _.___.sh\n"), "\(came)")
        }
    }
}
