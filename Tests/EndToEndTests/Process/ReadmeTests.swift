// The README's lines, run word for word as a newcomer would: with curl, and with blob.

import Foundation
import Testing

@Suite("README", .inTurn)
struct ReadmeTests {
    /// The root of the repository: the nearest folder above this file that has a package and a README.
    private static func readme() throws -> String {
        var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path != "/" {
            let file = folder.appendingPathComponent("README.md")
            if FileManager.default.fileExists(atPath: folder.appendingPathComponent("Package.swift").path) {
                return try String(contentsOf: file, encoding: .utf8)
            }
            folder.deleteLastPathComponent()
        }
        throw Failure("no README.md above \(#filePath)")
    }

    /// The ```sh blocks in which a command is called.
    private static func blocks(calling command: String) throws -> String {
        let blocks = try readme().matches(of: #/(?ms)^```sh\n(.*?)^```/#).map { String($0.1) }
        return blocks.filter { $0.contains("\(command) ") }.joined(separator: "\n")
    }

    @Test("tells the two commands that do all the set-up before the curl lines")
    func commands() throws {
        let text = try Self.readme()
        let run = try #require(text.firstRange(of: "make run"))
        let test = try #require(text.firstRange(of: "make test"))
        let curl = try #require(text.firstRange(of: "curl"))
        #expect(run.lowerBound < curl.lowerBound && test.lowerBound < curl.lowerBound)
    }

    @Test("its five curl lines upload a file in two pieces and download it")
    func curlLines() async throws {
        let script = try Self.blocks(calling: "curl")
        let calls = script.matches(of: #/(^|[\s(|])curl\s/#).count
        #expect(calls == 5, "\(script)")
        #expect(script.contains("127.0.0.1:8887") || script.contains("localhost:8887"), "\(script)")

        // The server's data is in ./data, as by default.
        try await withServer { server in
            let here = script.replacing("8887", with: String(server.port))
            let outcome = try await ChildProcess.run(
                ["bash", "-euo", "pipefail", "-c", here], in: server.folder.path)
            #expect(outcome.end == .code(0), "\(outcome)")

            let files = try await server.admin().send(.files()).json
            #expect(files?["count"]?.integer == 1, "\(outcome)")
            let size = try #require(files?["items"]?[0]?["size"]?.integer)
            // The server's log has the truth about its requests.
            let child = try #require(server.child)
            for parts in [["append", "203"], ["complete", "201"], ["download", "200", String(size)]] {
                try await eventually("a request of \(parts)") {
                    let lines = child.errors.soFar.split(separator: "\n")
                    return lines.first { line in parts.allSatisfy { line.contains($0) } }
                }
            }
        }
    }

    @Test("its lines with blob upload, download and list")
    func clientLines() async throws {
        let script = try Self.blocks(calling: "blob")
        try await withServer { server in
            let here = "PATH=\(BlobTool.folder):$PATH\n" + script.replacing("8887", with: String(server.port))
            let home = server.folder.path + "/home"
            let outcome = try await ChildProcess.run(
                ["bash", "-euo", "pipefail", "-c", here], in: server.folder.path,
                environment: ["HOME": home, "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home])
            #expect(outcome.end == .code(0), "\(outcome)")

            let files = try await server.admin().send(.files()).json
            // large.bin, the two of the folder, and the file from standard input.
            #expect(files?["count"]?.integer == 4, "\(outcome)")
            for name in ["large.bin", "now.txt", "today.txt"] {
                #expect(outcome.output.contains(name), "the list names it: \(outcome)")
            }
        }
    }
}
