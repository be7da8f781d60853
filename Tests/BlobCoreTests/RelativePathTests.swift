// Which paths are taken.

import BlobCore
import Testing

@Suite struct RelativePathTests {
    @Test(arguments: [
        "call.wav", "2026/may/call.wav", "a/b", ".hidden/...", " / ", "مجلد/تقرير.pdf", "e\u{301}/é", "a\\b", "C:/x",
        "a/..b/c..", "%2e%2e/%2f", "~/-rf", String(repeating: "a", count: 1024),
        "a" + String(repeating: "/ü", count: 341),
    ])
    func isTakenAsItIs(text: String) throws {
        #expect(Array(try RelativePath(parsing: text).text.utf8) == Array(text.utf8))
    }

    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b",
        String(repeating: "a", count: 1025), "a" + String(repeating: "/ü", count: 341) + "a/b", "a/b\u{0}", "a\n/b",
        "a/\u{7F}", "a/\u{85}b", "a\r\nb", "a/\u{202E}b", "a\u{200B}/b", "می\u{200C}/خ",
        // A slash stays one when a combining mark follows it.
        "a//\u{301}b", "a/../\u{301}b",
    ])
    func refuses(text: String) throws {
        let error = try #require(#expect(throws: BlobError.self) { try RelativePath(parsing: text) })
        guard case .pathInvalid = error.reason else {
            Issue.record(error)
            return
        }
    }
}
