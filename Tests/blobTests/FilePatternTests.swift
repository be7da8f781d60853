// Which names and paths a pattern matches.

import BlobClient
import BlobCore
import Testing

@testable import blob

struct FilePatternTests {
    @Test(arguments: [
        ("call-*.wav", ["call-1.wav", "call-.wav", "call-a-b.wav"], ["call-1.wav2", "a-call-1.wav", "CALL-1.wav"]),
        ("*", ["", "a", ".hidden"], []), ("?", ["a", "ع", "é", "👍🏽"], ["", "ab"]), ("a\\*b", ["a*b"], ["axb", "a\\*b"]),
        ("[a-c1]x", ["ax", "cx", "1x"], ["dx", "x", "-x"]), ("[!a-c]x", ["dx", "!x"], ["ax", "x"]),
        ("[^a]", ["b"], ["a"]),
        ("[]a]", ["]", "a"], ["b"]), ("[a-]", ["a", "-"], ["b"]),
        ("report [1.pdf", ["report [1.pdf"], ["report 1.pdf"]),
        ("عقد*", ["عقد.pdf"], ["عق"]), ("e\u{301}", ["é"], ["e"]), ("\\", ["\\"], [""]),
        ("*a*a*a*a*b", [String(repeating: "a", count: 250) + "b"], [String(repeating: "a", count: 255)]),
        ("2026/*.wav", ["2026/a.wav"], ["2026/may/a.wav", "a.wav"]),
        ("2026/**.wav", ["2026/a.wav", "2026/may/a.wav"], []),
        ("a/?b", ["a/xb"], ["a//b"]), ("a/[!x]b", ["a/yb"], ["a//b"]),
    ])
    func matching(pattern: String, matches: [String], others: [String]) {
        let pattern = FilePattern(pattern)
        #expect(matches.filter { !pattern.matches($0) } == [] && others.filter { pattern.matches($0) } == [])
    }

    @Test(arguments: [
        ("call-*.wav", "call-"), ("*", nil), ("a*bc?d", "bc"), ("عقد*", nil), ("e\u{301}x", "x"), ("[ab]c", "c"),
        ("a/b*", nil), ("\\*x*", "*x"),
    ])
    func heldTexts(pattern: String, text: String?) {
        #expect(FilePattern(pattern).heldText == text)
    }

    @Test(arguments: [("*.wav", true), ("may/*.wav", true), ("*/x.wav", false), ("2026/*", false)])
    func namesAndPaths(pattern: String, isMatch: Bool) throws {
        var file = StoredFile(digest: try BlobDigest(parsing: String(repeating: "0", count: 64)))
        #expect(!FilePattern(pattern).matches(file))
        (file.name, file.path) = ("a.wav", "may/a.wav")
        #expect(FilePattern(pattern).matches(file) == isMatch)
    }
}
