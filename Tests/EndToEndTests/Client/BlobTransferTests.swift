// `blob upload`, `blob download` and `blob hash` against the real server.

import Foundation
import Testing

@Suite("blob's transfers", .inTurn)
struct BlobTransferTests {
    @Test(
        "a file comes back as it was, with its name in Arabic; so does an empty one",
        arguments: [0, 100_000, 5_000_001])
    func roundTrip(count: Int) async throws {
        let blob = try await BlobTool.shared()
        let name = "عقد إيجار.pdf"
        let bytes = try Sample.bytes(count)
        let digest = Sample.digest(of: bytes)
        let path = try blob.home.write(bytes, to: name)
        let sent = try await blob.run(["upload", path])
        #expect(sent.end == .code(0), "\(sent)")
        #expect(sent.output == "\(digest)  \(blob.server.address)/api/blobs/\(digest)  \(path)\n")
        #expect(sent.errors.contains("done"))

        try FileManager.default.removeItem(atPath: path)
        // The name that the server proposes; of no bytes, every test has a file of its own.
        let flags = count == 0 ? ["-o", name] : []
        let came = try await blob.run(["download", digest] + flags)
        #expect(came.end == .code(0) && came.output == "\(digest)  \(name)\n", "\(came)")
        #expect(try blob.home.read(name) == bytes)
        #expect(try FileManager.default.contentsOfDirectory(atPath: blob.home.path).sorted().last == name)
        #expect(blob.journal().isEmpty)
    }

    @Test("standard input is uploaded under a name, and standard output is downloaded to")
    func streams() async throws {
        let blob = try await BlobTool.shared()
        let bytes = try Sample.bytes(300_000)
        _ = try blob.home.write(bytes, to: "in")
        let sent = try await blob.shell("cat in | $blob upload --name stream.bin --temporary -")
        #expect(sent.end == .code(0) && sent.output.hasSuffix("  stream.bin\n"), "\(sent)")
        let digest = try #require(sent.firstWords.first)
        let came = try await blob.shell("$blob download \(digest) -o - --quiet > out")
        #expect(came.end == .code(0) && came.errors == "" && came.output == "", "\(came)")
        #expect(try blob.home.read("out") == bytes)
        let closed = try await blob.shell("$blob download \(digest) -o - --quiet | head -c 10 | wc -c")
        #expect(
            closed.output.trimmingCharacters(in: .whitespacesAndNewlines) == "10" && closed.errors == "", "\(closed)")
    }

    @Test("a folder needs --recursive; then all files in it go, links do not, and what fails does not keep the others")
    func folder() async throws {
        let blob = try await BlobTool.shared()
        let folder = blob.home.path + "/in"
        try FileManager.default.createDirectory(atPath: folder + "/deep", withIntermediateDirectories: true)
        for number in 1...20 { _ = try blob.home.write(try Sample.bytes(number), to: "in/deep/\(number)") }
        try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "deep/1")
        let refused = try await blob.run(["upload", "in"])
        #expect(refused.end == .code(1) && refused.errors.contains("--recursive"), "\(refused)")

        let sent = try await blob.run(["upload", "--recursive", "--jobs", "3", "in", "none"])
        #expect(sent.end == .code(1), "\(sent)")
        #expect(Set(sent.firstWords).count == 20)
        #expect(sent.errors.contains("in/link: passed over") && sent.errors.contains("none: No such file"))
        #expect(sent.errors.contains("20 files done, 1 failed"))
    }

    @Test("--skip-existing sends nothing of what can be downloaded")
    func skipExisting() async throws {
        let blob = try await BlobTool.shared()
        let path = try blob.home.write(try Sample.bytes(1000), to: "file")
        let arguments = ["upload", path, "--skip-existing", "--json"]
        let first = try await blob.run(arguments)
        #expect(first.end == .code(0) && first.output.contains(#""event":"done""#), "\(first)")
        let second = try await blob.run(arguments)
        #expect(second.end == .code(0) && second.output.contains(#""event":"skipped""#), "\(second)")
        #expect(second.output.contains(#""bytes":0,"event":"finished""#) && second.errors == "")
        let plain = try await blob.run(["upload", path, "--skip-existing"])
        #expect(plain.output.contains("/api/blobs/") && plain.errors.contains("is there already"))
        let list = try await blob.run(["list"])
        #expect(list.output.split(separator: "\n").count == 1, "\(list)")
    }

    @Test("a download replaces no other file without --force, and knows the one that is it already")
    func inTheWay() async throws {
        let blob = try await BlobTool.shared()
        let bytes = try Sample.bytes(1000)
        let sent = try await blob.run(["upload", try blob.home.write(bytes, to: "file"), "--quiet"])
        #expect(sent.errors == "")
        let digest = Sample.digest(of: bytes)
        let there = try await blob.run(["download", "sha256:" + digest])
        #expect(there.end == .code(0) && there.errors.contains("is there already"), "\(there)")
        _ = try blob.home.write([1], to: "file")
        let refused = try await blob.run(["download", digest])
        #expect(refused.end == .code(1) && refused.errors.contains("--force"), "\(refused)")
        #expect(try blob.home.read("file") == [1])
        let forced = try await blob.run(["download", digest, "--force", "-o", "."])
        #expect(forced.end == .code(0), "\(forced)")
        #expect(try blob.home.read("file") == bytes)
        let unknown = try await blob.run(["download", Sample.digest(of: try Sample.bytes(32)), "-o", "none"])
        #expect(unknown.end == .code(1) && unknown.errors.contains("404 BLOB_UNKNOWN"), "\(unknown)")
        #expect(!FileManager.default.fileExists(atPath: blob.home.path + "/none"))
    }

    @Test("hash prints what sha256sum prints, without any server")
    func hash() async throws {
        let blob = try await BlobTool.shared()
        _ = try blob.home.write(try Sample.bytes(100), to: "plain")
        _ = try blob.home.write([], to: "two\nlines\\")
        let line =
            "cmp <($blob hash plain two* && cat plain | $blob hash -) <(sha256sum plain two* && sha256sum - <plain)"
        let same = try await blob.shell(line, without: ["BLOB_SERVER", "BLOB_TOKEN"])
        #expect(same.end == .code(0), "\(same)")
        let some = try await blob.run(["hash", "none", "plain"])
        #expect(some.end == .code(1) && some.firstWords.count == 1, "\(some)")
    }

    @Test(
        "a command line that cannot be meant ends with 2",
        arguments: [
            ["upload"], ["upload", "a", "--jobs", "0"], ["upload", "a", "b", "--name", "c"], ["upload", "-", "-"],
            ["download"], ["download", "sha256:abc"], ["nothing"], ["list", "--limit", "0"],
            ["list", "--server", "unknown"],
            ["status", "abc"], ["upload", "a", "--token-file", "none"], ["login", "--ca"],
            ["upload", "a", "--token", "t"],
        ])
    func usage(arguments: [String]) async throws {
        let outcome = try await BlobTool.shared().run(arguments)
        #expect(outcome.end == .code(2) && outcome.output == "" && outcome.errors != "", "\(outcome)")
    }

    @Test(
        "help and version are answered on standard output",
        arguments: [["--help"], ["--version"], ["help", "upload"]]
            + ["bash", "zsh", "fish"].map { ["--generate-completion-script", $0] })
    func help(arguments: [String]) async throws {
        let outcome = try await BlobTool.shared().run(arguments)
        #expect(outcome.end == .code(0) && outcome.output != "" && outcome.errors == "", "\(outcome)")
    }
}
