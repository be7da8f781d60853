// Names on the command line that are no UTF-8.

import SystemPackage
import Testing

@testable import blob

struct PathArgumentTests {
    private static func path(_ bytes: UInt8...) -> FilePath {
        FilePath(platformString: bytes.map { CChar(bitPattern: $0) } + [0])
    }

    @Test func found() throws {
        let (one, other) = (Self.path(0x61, 0xE9), Self.path(0x62, 0xE9))
        #expect(try PathArgument.path("a\u{FFFD}", among: [one, other]) == one)
        #expect(try PathArgument.path("a", among: [one]) == "a")
        #expect(try PathArgument.path("c\u{FFFD}", among: [one, "c\u{FFFD}"]) == "c\u{FFFD}")
    }

    @Test func ambiguous() {
        let words = [Self.path(0x61, 0xE9), Self.path(0x61, 0xE8)]
        #expect(throws: UsageProblem.self) { try PathArgument.path("a\u{FFFD}", among: words) }
        #expect(throws: Never.self) { try PathArgument.path("a\u{FFFD}", among: [words[0], words[0]]) }
    }
}
