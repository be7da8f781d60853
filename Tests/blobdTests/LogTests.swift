// The log's lines: their form, and that nobody outside can forge one.

import BlobStorage
import Foundation
import Glibc
import Logging
import Synchronization
import Testing

@testable import blobd

struct LogTests {
    private func line(_ format: LogFormat, _ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        let entry = LogEntry(
            time: LogTime(Timestamp(milliseconds: 1_767_225_599_007)), level: .info, message: message,
            metadata: metadata.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
        )
        return String(decoding: entry.line(format), as: UTF8.self)
    }

    @Test func text() {
        #expect(
            line(.text, "request", ["method": "GET", "bytes": .stringConvertible(12), "route": "/api/blobs/{digest}"])
                == "2025-12-31T23:59:59.007Z info request bytes=12 method=GET route=/api/blobs/{digest}\n"
        )
        #expect(line(.text, "alone") == "2025-12-31T23:59:59.007Z info alone\n")
    }

    @Test(arguments: [
        ("plain", "plain"), ("", #""""#), ("two words", #""two words""#), ("a=b", #""a=b""#), (#"a"b"#, #""a\"b""#),
        (#"a\b"#, #""a\\b""#), ("a\nb", #""a\nb""#), ("a\r\tb", #""a\r\tb""#), ("\u{1B}[31m", #""\u{1b}[31m""#),
        ("\u{7F}\u{9B}", #""\u{7f}\u{9b}""#), ("a\u{2028}b", #""a\u{2028}b""#), ("\u{202E}fdp", #""\u{202e}fdp""#),
        ("über", #""über""#), ("\u{E0041}", #""\u{e0041}""#), ("x\u{0}y", #""x\u{0}y""#),
    ])
    func textValues(value: String, written: String) {
        #expect(line(.text, "m", ["k": .string(value)]) == "2025-12-31T23:59:59.007Z info m k=\(written)\n")
        #expect(line(.text, "m", ["k": .stringConvertible(value)]).hasSuffix(" k=\(written)\n"))
    }

    @Test func textMessageAndKeysStayInTheirLine() {
        let forged = line(.text, "bad\n2026 info fake", ["a b\n": "c"])
        #expect(forged == "2025-12-31T23:59:59.007Z info bad\\n2026 info fake \"a b\\n\"=c\n")
    }

    @Test func json() throws {
        let line = line(
            .json, "said \"hi\"\n",
            [
                "count": .stringConvertible(3), "size": .stringConvertible(Int64.max), "ms": .stringConvertible(1.25),
                "ok": .stringConvertible(true), "nan": .stringConvertible(Double.nan), "text": "ü\u{202E}\u{E0041}\\",
                "list": ["a", .dictionary(["k": "v"])], "time": "mine",
            ]
        )
        #expect(
            line.hasPrefix(#"{"time":"2025-12-31T23:59:59.007Z","level":"info","message":"said \"hi\"\n","count":3,"#))
        #expect(line.hasSuffix("}\n"))
        #expect(line.contains(#""text":"ü\u202e\udb40\udc41\\""#))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == "said \"hi\"\n")
        #expect(object["size"] as? Int64 == .max)
        #expect(object["ms"] as? Double == 1.25)
        #expect(object["ok"] as? Bool == true)
        #expect(object["nan"] as? String == "nan")
        #expect(object["text"] as? String == "ü\u{202E}\u{E0041}\\")
        #expect((object["list"] as? [Any])?.count == 2)
        #expect(object["time_"] as? String == "mine")
    }

    /// Every scalar that means something to a reader comes back through JSON, on one line.
    @Test func jsonKeepsEveryScalar() throws {
        let scalars =
            (0...0x2FFF).compactMap(Unicode.Scalar.init)
            + [Unicode.Scalar(0x1F600), Unicode.Scalar(0x10FFFF)]
            .compactMap { $0 }
        let text = String(String.UnicodeScalarView(scalars))
        let line = line(.json, text)
        #expect(line.utf8.filter { $0 < 0x20 } == [0x0A])
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect((object?["message"] as? String)?.unicodeScalars.elementsEqual(scalars) == true)
    }

    @Test func times() {
        var bytes: [UInt8] = []
        LogTime(Timestamp(milliseconds: 0)).append(to: &bytes)
        LogTime(Timestamp(milliseconds: 951_782_400_999)).append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "1970-01-01T00:00:00.000Z2000-02-29T00:00:00.999Z")
    }

    @Test func handlerMergesMetadata() {
        let lines = Lines()
        var logger = Logger(label: "test") { _ in
            LineLogHandler(
                level: .info, metadataProvider: .init { ["a": "provided", "b": "provided"] }, take: lines.append
            )
        }
        logger[metadataKey: "a"] = "logger"
        logger[metadataKey: "c"] = "logger"
        logger.debug("not told")
        logger.warning("told", metadata: ["b": "event"])
        #expect(lines.all.count == 1)
        #expect(lines.all.first?.hasSuffix(" warning told a=provided b=event c=logger\n") == true)
        #expect(logger[metadataKey: "c"] == "logger")
    }

    /// Lines of many threads, longer than a pipe takes at once, come out whole.
    @Test func linesAreNotTorn() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/log"
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            let output = LogOutput(descriptor, format: .text, capacity: 1 << 22)
            await withTaskGroup(of: Void.self) { group in
                for letter in "abcdefgh".utf8 {
                    group.addTask {
                        let line = Array(repeating: letter, count: 20_000) + [UInt8(ascii: "\n")]
                        for _ in 0..<20 { output.write(line) }
                    }
                }
            }
            output.drain()
            close(descriptor)
            let lines = try Data(contentsOf: URL(filePath: path)).split(separator: UInt8(ascii: "\n"))
            #expect(lines.count == 160)
            #expect(lines.allSatisfy { $0.count == 20_000 && $0 == Data(repeating: $0.first ?? 0, count: 20_000) })
        }
    }

    /// Callers of the log go on, lines that fit are kept, and the number of lost ones is told once somebody reads
    /// again.
    @Test func linesThatNobodyTakesAreCounted() async throws {
        var ends: [CInt] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let (reader, writer) = (ends[0], ends[1])
        let output = LogOutput(writer, format: .text, capacity: 100_000)
        let line = Array(repeating: UInt8(ascii: "x"), count: 999) + [UInt8(ascii: "\n")]
        for _ in 0..<2000 { output.write(line) }

        // Not in a task: those of other tests may hold all of Swift's threads.
        let (texts, read) = AsyncStream<Data>.makeStream()
        Thread.detachNewThread {
            let file = FileHandle(fileDescriptor: reader, closeOnDealloc: true)
            read.yield((try? file.readToEnd()) ?? Data())
            read.finish()
        }
        output.drain()
        output.write(Array("after\n".utf8))
        output.drain()
        close(writer)
        let text = try #require(await texts.first { _ in true })
        let lines = text.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        let whole = lines.count { $0.count == 999 }
        let lost = lines.compactMap { $0.firstMatch(of: /warning ([0-9]+) lines of the log were lost/)?.1 }
        #expect(lost.compactMap { Int($0) }.reduce(0, +) == 2000 - whole)
        #expect((100..<2000).contains(whole))
        #expect(lines.last == "after")
    }
}

/// Lines that a handler wrote.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    @Sendable func append(_ entry: LogEntry) {
        lines.withLock { $0.append(String(decoding: entry.line(.text), as: UTF8.self)) }
    }

    var all: [String] { lines.withLock { $0 } }
}
