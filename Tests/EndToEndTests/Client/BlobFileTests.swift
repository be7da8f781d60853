// `blob list`, `find`, `info` and `delete`: the caller's files on the server.

import Foundation
import Testing

@Suite("blob's files", .inTurn)
struct BlobFileTests {
    /// Publishes bytes of a size under each name.
    @discardableResult
    private static func publish(_ names: [(String, Int)], _ client: Client) async throws -> [Published] {
        var all: [Published] = []
        for (name, count) in names {
            all.append(try await client.publish(try Sample.bytes(count), filename: name))
        }
        return all
    }

    private static func client(_ blob: BlobTool) -> Client { Client(server: blob.server, bearer: blob.token) }

    @Test("list shows where a digest begins, and all with --long; an administrator sees whose the files of others are")
    func listing() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server, scopes: "upload,read,admin")
            let own = try await Self.publish([("own.bin", 2000)], Self.client(blob))[0]
            let other = try await Self.publish([("other.bin", 3)], try await server.client())[0]
            let owner = try #require(try await Self.client(blob).send(.file(other.id)).json?["owner"]?.string)
            let list = try await blob.run(["list", "--order", "name"])
            let lines = list.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(
                lines.map { $0.prefix(2) } == [other, own].map { [$0.id, String($0.digest.prefix(12))] }, "\(list)")
            #expect(
                lines.first?.suffix(3) == ["other.bin", "(of", "\(owner))"] && lines.last?.last == "own.bin", "\(list)")
            let long = try await blob.run(["list", "--long", "--order", "name", "--descending", "--limit", "1"])
            let words = long.output.split { $0 == " " || $0 == "\n" }.map(String.init)
            #expect(words.prefix(3) == [own.id, own.digest, "2000"] && words.last == "own.bin", "\(long)")
        }
    }

    @Test("find lists what matches, by name, size and age")
    func finding() async throws {
        let blob = try await BlobTool.shared()
        try await Self.publish(
            [("call-1.wav", 10), ("call-2.wav", 2000), ("call.txt", 10), ("عقد.pdf", 10)], Self.client(blob))
        let cases: [([String], Set<String>)] = [
            (["call-*.wav"], ["call-1.wav", "call-2.wav"]),
            (["call-?.wav", "*.pdf"], ["call-1.wav", "call-2.wav", "عقد.pdf"]),
            (["call-[!2].*"], ["call-1.wav"]), (["CALL*"], []), (["*", "--larger", "1K"], ["call-2.wav"]),
            (["call*", "--smaller", "2000"], ["call-1.wav", "call.txt"]), (["*", "--older", "1d"], []),
            (["*.pdf", "--newer", "1d"], ["عقد.pdf"]), (["????.txt"], ["call.txt"]),
        ]
        for (arguments, names) in cases {
            let found = try await blob.run(["find"] + arguments)
            let last = found.output.split(separator: "\n").compactMap { $0.split(separator: " ").last.map(String.init) }
            #expect(
                found.end == .code(0) && found.errors == "" && Set(last) == names && last.count == names.count,
                "\(found)")
        }
        let json = try await blob.run(["find", "*.pdf", "--json"])
        #expect(try json.jsonLines().compactMap { $0["name"]?.string } == ["عقد.pdf"])
    }

    @Test("info tells of a file by id and name, and of a blob by digest and URL what a download brings and who has it")
    func info() async throws {
        let blob = try await BlobTool.shared()
        let bytes = try Sample.bytes(2000)
        let first = try await Self.client(blob).publish(bytes, filename: "first.bin")
        let second = try await Self.client(blob).publish(bytes, filename: "second.bin")
        try await Self.publish([("another.bin", 2000)], Self.client(blob))
        for word in [first.id, "first.bin"] {
            let file = try await blob.run(["info", word])
            #expect(
                file.end == .code(0) && file.output.contains(first.digest) && file.output.contains(first.id), "\(file)")
        }
        for word in [first.digest, "\(blob.server.address)/api/blobs/\(first.digest)"] {
            let json = try #require(try await blob.run(["info", word, "--json"]).jsonLines().first)
            #expect(json["name"]?.string == "first.bin" && json["size"]?.integer == 2000, "\(json)")
            #expect(Set(json["files"]?.array?.compactMap { $0["id"]?.string } ?? []) == [first.id, second.id])
        }
        let text = try await blob.run(["info", first.digest])
        #expect(text.output.contains("\nyour files  2, with") && text.output.contains("second.bin"), "\(text)")
        let unable = try await BlobTool(blob.server, scopes: "upload").run(["info", first.digest])
        #expect(unable.end == .code(0) && unable.output.contains("cannot be listed"), "\(unable)")
        let unknown = try await blob.run(["info", Sample.digest(of: try Sample.bytes(32))])
        #expect(unknown.end == .code(1) && unknown.errors.contains("no blob with this digest"), "\(unknown)")
    }

    @Test("what a pattern finds is deleted only with --yes where nobody can be asked; a dry run deletes nothing")
    func deletingByPattern() async throws {
        let blob = try await BlobTool.shared()
        let names = [("tmp-1", 10), ("tmp-2", 20), ("kept", 30)]
        let files = try await Self.publish(names, Self.client(blob))
        let refused = try await blob.run(["delete", "--match", "tmp-*"])
        #expect(refused.end == .code(2) && refused.errors.contains("--yes"), "\(refused)")
        let dry = try await blob.run(["delete", "--match", "tmp-*", "--dry-run"])
        #expect(dry.end == .code(0) && dry.firstWords == files.prefix(2).map(\.id), "\(dry)")
        let json = try await blob.run(["delete", "--match", "tmp-*", "--dry-run", "--json"])
        #expect(try json.jsonLines().map { $0["event"]?.string } == ["would_delete", "would_delete"])
        #expect(try await blob.run(["list"]).firstWords.count == 3)
        let deleted = try await blob.run(["delete", "--match", "tmp-*", "--yes"])
        #expect(
            deleted.end == .code(0) && deleted.output == files.prefix(2).map { "deleted \($0.id)\n" }.joined(),
            "\(deleted)")
        #expect(try await blob.run(["list"]).firstWords == [files[2].id])
        let none = try await blob.run(["delete", "--match", "tmp-*", "--yes"])
        #expect(none.end == .code(1) && none.errors.contains("nothing was deleted"), "\(none)")
    }

    @Test("on a terminal it asks, and anything but yes deletes nothing", arguments: [("n", 1), ("", 1), ("y", 0)])
    func asking(answer: String, left: Int) async throws {
        let blob = try await BlobTool.shared()
        let file = try await Self.publish([("asked", 10)], Self.client(blob))[0]
        let outcome = try await blob.onTerminal(["delete", "--match", "asked"], typing: answer)
        #expect(
            outcome.output.contains(file.id) && outcome.output.contains("delete this file, 10 bytes? [y/N]"),
            "\(outcome)")
        #expect(outcome.end == .code(Int32(left)), "\(outcome)")
        #expect(try await blob.run(["list"]).firstWords.count == left)
    }

    @Test("an administrator's pattern deletes no files of others")
    func administrator() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server, scopes: "upload,read,delete,admin")
            let other = try await Self.publish([("tmp-other", 10)], try await server.client())[0]
            let none = try await blob.run(["delete", "--match", "*", "--yes"])
            #expect(none.end == .code(1) && none.errors.contains("none of your files matches"), "\(none)")
            let own = try await Self.publish([("tmp-own", 10)], Self.client(blob))[0]
            let deleted = try await blob.run(["delete", "--match", "*", "--yes"])
            #expect(deleted.output == "deleted \(own.id)\n", "\(deleted)")
            #expect(try await blob.run(["list"]).firstWords == [other.id])
        }
    }

    @Test("on a terminal, what was uploaded is a line of 80 columns with the digest once; elsewhere it is whole")
    func resultLines() async throws {
        let blob = try await BlobTool.shared()
        let bytes = try Sample.bytes(1000)
        let digest = Sample.digest(of: bytes)
        _ = try blob.home.write(bytes, to: "a-name-of-many-letters.wav")
        let arguments = ["upload", "a-name-of-many-letters.wav", "--quiet"]
        let shown = try await blob.onTerminal(arguments, typing: "")
        #expect(shown.end == .code(0) && shown.output.contains("\(digest)  a-name-…rs.wav\r\n"), "\(shown)")
        let whole = try await blob.run(arguments)
        #expect(whole.output == "\(digest)  \(blob.server.address)/api/blobs/\(digest)  \(arguments[1])\n", "\(whole)")
    }
}
