// Which paths a pattern takes.

import Testing

@testable import BlobHTTP

@Suite struct PathPatternTests {
    @Test(arguments: [
        ("/health", "/health", []), ("/api/files/{id}", "/api/files/a", ["a"]),
        // Names the file "", which no file is called.
        ("/api/files/{id}", "/api/files/", [""]),
        ("/a/{x}/b/{y}", "/a/1/b/2", ["1", "2"]), ("/a/{x}", "/a/%2F", ["%2F"]), ("/a/{x}", "/a/é", ["é"]),
        ("/ui/{path...}", "/ui/", [""]), ("/ui/{path...}", "/ui", [""]), ("/ui/{path...}", "/ui/a/b//c", ["a/b//c"]),
        ("/{a}/{rest...}", "/1/2/3", ["1", "2/3"]), ("/", "/", []),
    ])
    func takes(_ pattern: String, _ path: String, _ values: [String]) throws {
        let captures = try #require(PathPattern(pattern).match(path[...]))
        let names = pattern.split(separator: "/").filter { $0.hasPrefix("{") }
            .map { String($0.dropFirst().dropLast()).replacing("...", with: "") }
        #expect(names.map { String(captures[$0]) } == values)
    }

    @Test(arguments: [
        ("/health", "/health/"), ("/health", "health"), ("/health", "//health"), ("/health", ""), ("/health", "/"),
        ("/health", "/healt"), ("/api/files/{id}", "/api/files"), ("/api/files/{id}", "/api/files/a/b"),
        ("/api/files/{id}", "/api//a"), ("/ui/{path...}", "/u"), ("/a/{x}", "/A/1"),
    ])
    func leaves(_ pattern: String, _ path: String) {
        #expect(PathPattern(pattern).match(path[...]).map { _ in pattern } == nil)
    }

    @Test func wordsComeBeforeNames() {
        let inOrder = ["/a/b/c", "/a/b/{x}", "/a/b/{x...}", "/a/{x}/c", "/a/{x}/{y}", "/a/{x...}", "/{x}/b/c"]
        let sorted = inOrder.reversed().map(PathPattern.init).sorted { $0.precedes($1) }
        #expect(sorted.map(\.text) == inOrder)
    }
}
