// Names that an earlier version took, and that are refused now: they stay what they are, and are shown escaped.

import Foundation
import Testing

@Suite("Old names", .inTurn)
struct OldNameTests {
    private static let names = ["a\u{200D}b", "z\u{202E}gpj.exe", "می\u{200C}.txt", "\u{200B}2J"]

    /// A server with a file of each name, of the tool's own subject, in the folder `old`.
    private static func withOldServer(
        _ body: (ServerProcess, BlobTool, [(file: Published, name: String)]) async throws -> Void
    ) async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            let client = Client(server: server, bearer: blob.token)
            var files: [(Published, String)] = []
            for (number, name) in names.enumerated() {
                files.append((try await client.publish([UInt8(number)], filename: "\(number)"), name))
            }
            _ = try await server.stop()
            for (file, name) in files { try await server.rename(file.digest, to: name, path: "old/\(name)") }
            try await server.start()
            // It has another port now.
            try await body(server, blob, files)
        }
    }

    private func isSafe(_ text: String) -> Bool {
        !text.unicodeScalars.contains { ["\u{200B}", "\u{200C}", "\u{200D}", "\u{202E}"].contains($0) }
    }

    @Test("are listed, page by page, and found; a download's header shows what they are")
    func server() async throws {
        try await Self.withOldServer { server, blob, files in
            let client = Client(server: server, bearer: blob.token)
            var (listed, after): ([String?], String?) = ([], nil)
            repeat {
                let cursor = after.map { "&after=\($0)" } ?? ""
                let page = try await client.send(.files("orderby=name&top=1" + cursor))
                #expect(page.status == 200, "\(page)")
                listed += page.json?["items"]?.array?.map { $0["name"]?.string } ?? []
                after = page.json?["next"]?.string
            } while after != nil
            #expect(listed == Self.names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            for (file, name) in files {
                let download = try await client.send(.head(file.digest))
                let expected = String(String.UnicodeScalarView(name.unicodeScalars.map { isSafe("\($0)") ? $0 : "_" }))
                #expect(try ContentDisposition(download).name == expected)
                let found = try await client.send(.files("search=" + Request.encoded(name)))
                #expect(found.json?["count"]?.integer == 1, "\(found)")
            }
        }
    }

    @Test("are shown escaped by blob, found by their own letters, and come under names that show")
    func tool() async throws {
        try await Self.withOldServer { server, blob, files in
            for arguments in [["list"], ["list", "--long"], ["list", "--json"], ["find", "*"]] {
                let list = try await blob.run(arguments)
                #expect(list.end == .code(0) && list.output.split(separator: "\n").count == 4, "\(list)")
                #expect(isSafe(list.output) && list.output.contains("202e"), "\(list)")
            }
            for (file, name) in files {
                let info = try await blob.run(["info", name])
                #expect(info.end == .code(0) && info.output.contains(file.id) && isSafe(info.output), "\(info)")
                let came = try await blob.run(["download", name, "-o", "flat/"])
                #expect(came.end == .code(0) && isSafe(came.output + came.errors), "\(came)")
            }
            let tree = try await blob.run(["download", "-r", "old"])
            #expect(tree.end == .code(0) && isSafe(tree.output + tree.errors), "\(tree)")
            for folder in ["flat", "old"] {
                let names = try await blob.shell("ls \(folder) | sort").output.split(separator: "\n").map(String.init)
                #expect(Set(names) == ["a_b", "z_gpj.exe", "می_.txt", "_2J"], "\(names)")
            }
        }
    }

    @Test("are in a backup, and come back from it")
    func backup() async throws {
        try await Self.withOldServer { server, blob, files in
            let folder = server.folder.path
            #expect(try await server.command(["backup", folder + "/backup", "--data", server.data]).end == .code(0))
            let restored = try await server.command(["restore", folder + "/backup", "--data", folder + "/restored"])
            #expect(restored.end == .code(0), "\(restored)")
            _ = try await server.stop()
            try await server.start(["--data", folder + "/restored"])
            let client = Client(server: server, bearer: blob.token)
            for (file, name) in files {
                let told = try await client.send(.file(file.id)).json
                #expect(told?["name"]?.string == name && told?["path"]?.string == "old/\(name)")
            }
        }
    }
}
