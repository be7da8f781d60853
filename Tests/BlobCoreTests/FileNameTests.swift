// Which names are taken, and how.

import BlobCore
import Testing

@Suite struct FileNameTests {
    @Test(arguments: [
        "report.pdf", "a", ".hidden", "...", "no extension", " ", "تقرير الربع الأول.pdf", "报告.txt", "🧾👨‍👩‍👧‍👦.png",
        "e\u{301}té", "CON", "a:b", "a\"b'c", "%2e%2e", "~", "-rf", "می\u{200C}خواهم.txt", "؟",
        String(repeating: "a", count: 255), String(repeating: "ü", count: 127) + "a",
        String(repeating: "👍", count: 63) + "abc",
    ])
    func isTakenAsItIs(text: String) throws {
        let name = try FileName(parsing: text)
        #expect(Array(name.text.utf8) == Array(text.utf8))
        #expect(name.description == text)
    }

    @Test(arguments: [
        ("/etc/passwd", "passwd"), ("../../secret", "secret"), ("C:\\fakepath\\photo.jpg", "photo.jpg"),
        ("a/b\\c", "c"), ("a\\b/c", "c"), ("//x", "x"), ("./x", "x"), ("مجلد/تقرير.pdf", "تقرير.pdf"),
        ("a/ ", " "),
        // A slash stays one when a combining mark follows it.
        ("a/\u{301}b", "\u{301}b"), ("..\\\u{301}b", "\u{301}b"), ("x/\u{30A}y", "\u{30A}y"),
    ])
    func losesItsDirectory(text: String, expected: String) throws {
        let name = try FileName(parsing: text)
        #expect(Array(name.text.utf8) == Array(expected.utf8))
    }

    private static let malformed: [String] = [
        "", ".", "..", "/", "\\", "a/", "a\\", "a/.", "a/..", "..\\..", "../",
        String(repeating: "a", count: 256), String(repeating: "ü", count: 128), String(repeating: "👍", count: 64),
        "a\u{0}b", "a\nb", "a\rb", "a\r\nb", "a\tb", "\u{1B}[31m", "a\u{7F}", "a\u{85}b", "a\u{9F}b", "\u{0}",
        "dir\n/report.pdf", "\u{202E}gpj.exe", "a\u{200B}b", "x/\u{200D}y", "x/\u{FE0F}y", "a\u{2028}b", "a\u{FFFF}",
    ]

    @Test(arguments: malformed)
    func refuses(text: String) {
        do throws(BlobError) {
            let name = try FileName(parsing: text)
            Issue.record("'\(text)' was taken as '\(name)'")
        } catch {
            guard case .nameInvalid = error.reason else {
                Issue.record(error)
                return
            }
        }
    }

    @Test func namesTheCharacter() throws {
        let error = try #require(#expect(throws: BlobError.self) { try FileName(parsing: "a\u{202E}b\u{1B}") })
        guard case .nameInvalid(.hidden(let character)) = error.reason else { throw error }
        #expect(character.description == "U+202E RIGHT-TO-LEFT OVERRIDE")
    }

    @Test func namesThatEarlierVersionsTookAreReadBack() {
        for text in ["\u{202E}gpj.exe", "a\u{200D}", "a"] { #expect(FileName(toldBefore: text)?.text == text) }
        for text in ["", ".", "..", "a/b", "a\\b", "a\u{0}", "a\u{85}", String(repeating: "a", count: 256)] {
            #expect(FileName(toldBefore: text) == nil)
        }
    }

    @Test func unnamedFileIsNamedByItsDigest() {
        let digest = BlobDigest(of: "abc".utf8)
        #expect(FileName(digest).text == digest.hex)
    }
}
