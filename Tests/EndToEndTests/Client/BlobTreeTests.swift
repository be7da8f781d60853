// Whole folders: up with their paths, not twice, and back again; names that are no text too.

import Foundation
import Testing

@Suite("blob and folders", .inTurn)
struct BlobTreeTests {
    /// A folder `photos` with names of every kind.
    private static func makeFolder(_ blob: BlobTool) async throws {
        let made = try await blob.shell(
            """
            mkdir -p photos/2026/may photos/.hidden photos/empty
            echo one >photos/a; echo two >photos/2026/may/a; echo three >photos/.hidden/-f; : >photos/nothing
            echo six >photos/caf\u{E9}; echo seven >photos/cafe\u{301}
            echo four >"photos/2026/$(printf 'n%.0s' {1..255})"; echo five >photos/تقرير.txt
            """)
        try #require(made.end == .code(0), "\(made)")
    }

    private static func events(_ outcome: ChildProcess.Outcome) throws -> [String: Int] {
        try outcome.jsonLines().compactMap { $0["event"]?.string }
            .filter { ["done", "skipped", "failed"].contains($0) }.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    @Test("a folder keeps its paths, goes up once, and comes back as it was")
    func roundTrip() async throws {
        let blob = try await BlobTool.shared()
        try await Self.makeFolder(blob)
        let first = try await blob.run(["upload", "--recursive", "photos", "--json"])
        #expect(try first.end == .code(0) && Self.events(first) == ["done": 8], "\(first)")
        #expect(try await blob.run(["list", "--long"]).output.contains("photos/2026/may/a"))

        let second = try await blob.run(["upload", "--recursive", "photos/", "--json"])
        #expect(try second.end == .code(0) && Self.events(second) == ["skipped": 8], "\(second)")
        _ = try blob.home.write(Array("changed".utf8), to: "photos/a")
        let third = try await blob.shell("cd photos/2026 && $blob upload --recursive .. --json")
        #expect(try Self.events(third) == ["done": 1, "skipped": 7], "\(third)")
        let again = try await blob.run(["upload", "--recursive", "--again", "photos", "--json"])
        #expect(try Self.events(again) == ["done": 8], "\(again)")

        let back = try await blob.run(["download", "--recursive", "photos", "--trust-names", "-o", "out/"])
        #expect(back.end == .code(0) && back.firstWords.count == 8, "\(back)")
        let difference = try await blob.shell("rmdir photos/empty; diff -r photos out/photos")
        #expect(difference.end == .code(0) && difference.output == "", "\(difference)")
        let part = try await blob.run(["download", "--recursive", "photos/2026/", "-o", "part/"])
        #expect(part.end == .code(0), "\(part)")
        #expect(try await blob.shell("diff -r photos/2026 part/2026").end == .code(0))
        let safe = try await blob.run(["download", "--recursive", "photos", "-o", "safe/"])
        #expect(safe.end == .code(0), "\(safe)")
        #expect(try await blob.shell("diff -r out/photos/.hidden/-f safe/photos/_.hidden/_-f").end == .code(0))
        let none = try await blob.run(["download", "--recursive", "phot", "-o", "part/"])
        #expect(none.end == .code(1) && none.errors.contains("came from a folder"), "\(none)")
    }

    @Test("an administrator gets back only what is her own, and never through a link")
    func ownAlone() async throws {
        try await withServer { server in
            let (one, other) = (try await BlobTool(server, scopes: "upload,read,admin"), try await BlobTool(server))
            for blob in [one, other] { try await Self.makeFolder(blob) }
            _ = try one.home.write(Array("mine".utf8), to: "photos/a")
            #expect(try await one.run(["upload", "-r", "photos"]).end == .code(0))
            #expect(try await other.run(["upload", "-r", "photos"]).end == .code(0))
            #expect(try await one.run(["download", "-r", "photos", "-o", "out/"]).end == .code(0))
            #expect(try one.home.read("out/photos/a") == Array("mine".utf8))

            let linked = try await one.shell(
                "mkdir trap elsewhere && ln -s ../elsewhere trap/photos && $blob download -r photos -o trap/")
            #expect(linked.end == .code(1) && linked.errors.contains("is to be a folder"), "\(linked)")
            #expect(try await one.shell("ls elsewhere").output == "")
        }
    }

    @Test("the same folder may go up under a token that may not list: all is sent, and it says so")
    func noList() async throws {
        let blob = try await BlobTool(.shared, scopes: "upload")
        try await Self.makeFolder(blob)
        for _ in 0..<2 {
            let outcome = try await blob.run(["upload", "-r", "photos", "--json"])
            #expect(try outcome.end == .code(0) && Self.events(outcome) == ["done": 8], "\(outcome)")
            #expect(outcome.errors.contains("cannot be listed"))
        }
    }

    // MARK: Names that are no text

    @Test("names that the server cannot hold go up written with percent signs, and it says so once")
    func awkwardNames() async throws {
        let blob = try await BlobTool.shared()
        let folder =
            #"mkdir $'d\xe9'; for n in $'caf\xe9' $'a\nb' 'a\b' $'\x7f' 'a%0Ab' 'ok'; do echo "$n" >$'d\xe9'/"$n"; done"#
        #expect(try await blob.shell(folder).end == .code(0))
        let up = try await blob.shell(#"$blob upload -r $'d\xe9'"#)
        #expect(up.end == .code(0) && up.firstWords.count == 6, "\(up)")
        #expect(up.errors.components(separatedBy: "--strict-names").count == 2, "\(up)")
        let names = try await blob.run(["list", "--json"]).jsonLines().compactMap { $0["path"]?.string }.sorted()
        #expect(names == ["a%0Ab", "a%250Ab", "a%5Cb", "caf%E9", "%7F", "ok"].map { "d%E9/\($0)" }.sorted())
        let second = try await blob.shell(#"$blob upload -r $'d\xe9' --json"#)
        #expect(try Self.events(second) == ["skipped": 6], "\(second)")

        let strict = try await blob.shell(#"$blob upload -r --again --strict-names $'d\xe9'"#)
        #expect(strict.end == .code(1) && strict.firstWords.isEmpty, "\(strict)")
        #expect(strict.errors.components(separatedBy: "none that the server can hold").count == 7, "\(strict)")
    }

    @Test("a character that nobody sees is named, and so is what can be done")
    func hiddenCharacters() async throws {
        let blob = try await BlobTool.shared()
        #expect(try await blob.shell(#"mkdir d; for f in . d; do echo x >$f/$'\u202egpj.exe'; done"#).end == .code(0))
        let name = "U+202E RIGHT-TO-LEFT OVERRIDE, which nobody would see there"
        let up = try await blob.shell(#"$blob upload $'\u202egpj.exe'"#)
        #expect(up.end == .code(0) && up.errors.contains("'%E2%80%AEgpj.exe'") && up.errors.contains(name), "\(up)")
        #expect(up.errors.contains("--name gives") && !(up.output + up.errors).contains("\u{202E}"), "\(up)")
        let strict = try await blob.shell(#"$blob upload --strict-names $'\u202egpj.exe'"#)
        #expect(strict.end == .code(1) && strict.errors.contains("\(name); give it another with --name"), "\(strict)")
        let tree = try await blob.shell("$blob upload -r --strict-names d")
        #expect(tree.end == .code(1) && tree.errors.contains("\(name); rename it"), "\(tree)")
        let named = try await blob.shell(#"$blob upload --strict-names --name jpg.exe $'\u202egpj.exe' --quiet"#)
        #expect(named.end == .code(0), "\(named)")
        for (flag, words) in [(#"$'a\u200b'"#, "U+200B ZERO WIDTH SPACE"), (#"$'\xed\xa0\x80'"#, "no UTF-8")] {
            let refused = try await blob.shell("$blob upload --name \(flag) d/*")
            #expect(
                refused.end == .code(2) && refused.errors.contains("--name: the name") && refused.errors.contains(words)
            )
        }
        let names = try await blob.run(["list", "--json"]).jsonLines().compactMap { $0["name"]?.string }.sorted()
        #expect(names == ["%E2%80%AEgpj.exe", "jpg.exe"])
    }

    @Test("files are named by their bytes on the command line, too")
    func namedByBytes() async throws {
        let blob = try await BlobTool.shared()
        let outcome = try await blob.shell(
            #"""
            echo x >$'caf\xe9'; echo y >$'caf\xe8'
            $blob upload $'caf\xe9' >/dev/null && cmp <($blob hash $'caf\xe9') <(sha256sum $'caf\xe9') &&
              $blob download -o $'b\xe9' "$($blob hash $'caf\xe9' | head -c 64)" >/dev/null && cmp $'b\xe9' $'caf\xe9'
            """#)
        #expect(outcome.end == .code(0), "\(outcome)")
        let both = try await blob.shell(#"$blob hash $'caf\xe9' $'caf\xe8'"#)
        #expect(both.end == .code(2) && both.errors.contains("differ in bytes"), "\(both)")
    }
}
