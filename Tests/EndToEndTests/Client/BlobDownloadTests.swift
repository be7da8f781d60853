// The blobs that `blob download` finds by its words, and where it puts them.

import Foundation
import Testing

@Suite("blob download finds", .inTurn)
struct BlobDownloadTests {
    /// Publishes some bytes of their own under each name, as the tool's own subject.
    private static func publish(_ names: [String], _ blob: BlobTool) async throws -> [(file: Published, bytes: [UInt8])]
    {
        let client = Client(server: blob.server, bearer: blob.token)
        var all: [(Published, [UInt8])] = []
        for name in names {
            let bytes = try Sample.bytes(1000)
            all.append((try await client.publish(bytes, filename: name), bytes))
        }
        return all
    }

    @Test("blobs by digest, digest's start, URL, id and name at once, in a folder that it makes")
    func words() async throws {
        let blob = try await BlobTool.shared()
        let names = ["one.bin", "two.bin", "three.bin", "four.bin", "عقد.pdf"]
        let files = try await Self.publish(names, blob)
        let words = [
            files[0].file.digest, String(files[1].file.digest.prefix(12)),
            "\(blob.server.address)/api/blobs/\(files[2].file.digest)", files[3].file.id, names[4],
        ]
        let missing = try await blob.run(["download", "-o", "new/in"] + words)
        #expect(missing.end == .code(2) && missing.errors.contains("'new/in' is no folder"), "\(missing)")
        let came = try await blob.run(["download", "-o", "new/in/"] + words)
        #expect(came.end == .code(0), "\(came)")
        let lines = zip(files, names).map { "\($0.file.digest)  new/in/\($1)" }
        #expect(Set(came.output.split(separator: "\n").map(String.init)) == Set(lines), "\(came)")
        for (file, name) in zip(files, names) { #expect(try blob.home.read("new/in/" + name) == file.bytes) }
        #expect(came.errors.contains("5 files done"))
    }

    @Test("a part of a blob goes to standard output; a large one comes in several requests at a time")
    func parts() async throws {
        let blob = try await BlobTool.shared()
        let file = try await Self.publish(["file"], blob)[0]
        for (range, bytes) in [
            ("10-19", file.bytes[10..<20]), ("990-", file.bytes[990...]), ("-5", file.bytes[995...]),
        ] {
            let outcome = try await blob.shell(
                "$blob download file -o - --range=\(range) | sha256sum; printf %s $PIPESTATUS")
            #expect(outcome.output == "\(Sample.digest(of: Array(bytes)))  -\n0", "\(outcome)")
        }
        let beyond = try await blob.run(["download", "file", "-o", "-", "--range", "1000-"])
        #expect(beyond.end == .code(1) && beyond.errors.contains("has 1000 bytes"), "\(beyond)")
        #expect(try await blob.run(["download", "file", "--range", "0-1"]).end == .code(2))

        let path = try blob.writeSparse("large", byteCount: 40 << 20)
        let digest = try #require(try await blob.run(["upload", path, "--quiet"]).firstWords.first)
        let streams = try await blob.run(["download", digest, "-o", "copy", "--streams", "4"])
        #expect(streams.end == .code(0), "\(streams)")
        #expect(try await blob.shell("cmp large copy").end == .code(0))
    }

    @Test(
        "several files of a name are an error that lists them, unless the newest is asked for; the same bytes are not")
    func ambiguous() async throws {
        let blob = try await BlobTool.shared()
        let files = try await Self.publish(["same", "same", "same-not"], blob)
        let refused = try await blob.run(["download", "same"])
        #expect(
            refused.end == .code(1) && refused.output == "" && refused.errors.contains("2 of your files"), "\(refused)")
        let listed = files.map { refused.errors.contains("\($0.file.id)  \($0.file.digest.prefix(12))") }
        #expect(listed == [true, true, false], "\(refused)")
        let json = try await blob.run(["download", "same", "--json"])
        let error = try json.jsonLines().first?["error"]
        #expect(error?["candidates"]?.array?.compactMap(\.string) == files.prefix(2).map(\.file.id), "\(json)")
        let newest = try await blob.run(["download", "same", "--newest", "--quiet"])
        #expect(newest.end == .code(0) && newest.output == "\(files[1].file.digest)  same\n", "\(newest)")

        let twice = try Sample.bytes(100)
        for _ in 0..<2 {
            _ = try await Client(server: blob.server, bearer: blob.token).publish(twice, filename: "twice")
        }
        #expect(try await blob.run(["download", "twice"]).end == .code(0))
        let none = try await blob.run(["download", "none", "0a0a0a0a0a"])
        #expect(none.end == .code(1) && none.errors.contains("blob: none: none of your files"), "\(none)")
        #expect(none.errors.contains("this has 10"), "\(none)")
    }

    @Test("a name of an administrator is that of an own file, whatever others have")
    func administrator() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server, scopes: "upload,read,admin")
            _ = try await server.client().publish(try Sample.bytes(100), filename: "name")
            let none = try await blob.run(["download", "name"])
            #expect(none.end == .code(1) && none.errors.contains("none of your files"), "\(none)")
            let own = try await Self.publish(["name"], blob)
            let came = try await blob.run(["download", "name", "--quiet"])
            #expect(came.output == "\(own[0].file.digest)  name\n", "\(came)")
        }
    }

    @Test("a hostile name names no hidden file and no option", arguments: [(".bashrc", "_.bashrc"), ("-rf", "_-rf")])
    func hostileNames(name: String, local: String) async throws {
        let blob = try await BlobTool.shared()
        let file = try await Self.publish([name], blob)[0]
        let words = [file.file.digest, file.file.id]
        for word in words {
            let came = try await blob.run(["download", word])
            #expect(came.end == .code(0) && came.output == "\(file.file.digest)  \(local)\n", "\(came)")
        }
        #expect(!FileManager.default.fileExists(atPath: blob.home.path + "/" + name))
        #expect(try blob.home.read(local) == file.bytes)
    }

    @Test("of two blobs with one name none replaces the other, even with --force; one that is named twice comes once")
    func sameTarget() async throws {
        let blob = try await BlobTool.shared()
        let files = try await Self.publish(["same", "same"], blob)
        let words = files.map(\.file.id)
        let both = try await blob.run(["download", "--force", "--jobs", "1"] + words)
        #expect(both.end == .code(1) && both.errors.contains("another blob of the same name"), "\(both)")
        #expect(both.output == "\(files[0].file.digest)  same\n")
        #expect(try blob.home.read("same") == files[0].bytes)
        let twice = try await blob.run(["download", words[0], files[0].file.digest])
        #expect(twice.end == .code(0) && twice.firstWords == [files[0].file.digest], "\(twice)")
    }

    @Test("a pattern brings what matches; a dry run tells it only; one that matches nothing is a failure")
    func patterns() async throws {
        let blob = try await BlobTool.shared()
        let files = try await Self.publish(["call-1.wav", "call-2.wav", "call-1.txt", "xcall-3.wav"], blob)
        let expected = Set(
            files.prefix(2).map {
                "\($0.file.digest)  \("in/")call-\(files[0].file.digest == $0.file.digest ? 1 : 2).wav"
            })
        let dry = try await blob.run(["download", "--match", "call-*.wav", "-o", "in/", "--dry-run"])
        #expect(dry.end == .code(0) && dry.errors == "", "\(dry)")
        #expect(Set(dry.output.split(separator: "\n").map(String.init)) == expected, "\(dry)")
        #expect(!FileManager.default.fileExists(atPath: blob.home.path + "/in"))
        let came = try await blob.run(["download", "--match", "call-*.wav", "-o", "in/"])
        #expect(came.end == .code(0) && Set(came.output.split(separator: "\n").map(String.init)) == expected, "\(came)")
        let names = try FileManager.default.contentsOfDirectory(atPath: blob.home.path + "/in")
        #expect(Set(names) == ["call-1.wav", "call-2.wav"])
        let none = try await blob.run(["download", "--match", "call-[3-9]*"])
        #expect(none.end == .code(1) && none.errors.contains("none of your files matches"), "\(none)")
    }

    @Test("a URL of another server is asked there, with that server's token alone")
    func otherServer() async throws {
        try await withServer(["--private-downloads"]) { other in
            let blob = try await BlobTool.shared()
            let bytes = try Sample.bytes(1000)
            let client = try await other.client()
            let file = try await client.publish(bytes, filename: "other.bin")
            let url = "\(other.address)/api/blobs/\(file.digest)"
            let refused = try await blob.run(["download", url])
            #expect(refused.end == .code(1) && refused.errors.contains("401 UNAUTHORIZED"), "\(refused)")
            let token = try #require(client.bearer)
            let login = try await blob.shell(
                "echo \(token) | $blob login other --server \(other.address)", without: ["BLOB_SERVER", "BLOB_TOKEN"])
            #expect(login.end == .code(0), "\(login)")
            let own = try await Self.publish(["own.bin"], blob)[0]
            let both = try await blob.run(["download", url, own.file.id])
            #expect(both.end == .code(0) && Set(both.firstWords) == [file.digest, own.file.digest], "\(both)")
            #expect(try blob.home.read("other.bin") == bytes)
        }
    }
}
