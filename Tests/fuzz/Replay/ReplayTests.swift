// Every input that the fuzzer kept, once more: those that led somewhere new, and those that once led to a fault.

import Foundation
import FuzzedParsers
import Testing

@Suite("Parsers of what comes from outside")
struct ReplayTests {
    private static let corpus = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../corpus")

    @Test("take every input that the fuzzer kept", arguments: FuzzedParser.all.keys.sorted())
    func replay(_ name: String) throws {
        let parser = try #require(FuzzedParser.all[name])
        let file = Self.corpus.appending(path: name + ".inputs")
        // One input in a line, in base64: a fuzzer's own folders hold thousands of files.
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count > 1, "\(file.path) holds no inputs")
        for line in lines {
            let bytes = try #require(Data(base64Encoded: String(line)), "\(line)")
            #expect(throws: Never.self, "\(line)") { try parser.run(Array(bytes)) }
        }
    }
}
