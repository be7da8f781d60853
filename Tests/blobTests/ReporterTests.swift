// The output of transfers, line by line.

import BlobClient
import Foundation
import Synchronization
import Testing

@testable import blob

/// A reporter with a clock that is turned by hand, and all its output.
private final class Trial: Sendable {
    private let written = Mutex<(results: String, messages: String)>(("", ""))
    private let time = Mutex(Duration.zero)

    func reporter(
        _ style: ReportStyle, showsProgress: Bool = true, resultColumns: Int? = nil
    ) -> TransferReporter {
        let output = ReportOutput(
            result: { text in self.written.withLock { $0.results += text } },
            message: { text in self.written.withLock { $0.messages += text } },
            size: { Terminal.Size(columns: 101, rows: 24) }, resultColumns: { resultColumns })
        return TransferReporter(style: style, showsProgress: showsProgress, output: output) {
            self.time.withLock { $0 }
        }
    }

    func turn(by duration: Duration) {
        time.withLock { $0 += duration }
    }

    var results: String { written.withLock { $0.results } }
    var messages: String { written.withLock { $0.messages } }
}

struct ReporterTests {
    private static let result = TransferResult(digest: "d1", rest: ["http://s/d1", "a\u{1B}b"], size: 2048)

    /// One file that is done after some trouble, and one that fails.
    private static func play(_ reporter: TransferReporter, _ trial: Trial) {
        let first = reporter.start("a\u{1B}b")
        reporter.note(.began(at: 1024, size: 2048), of: first)
        trial.turn(by: .seconds(1))
        reporter.note(.moved(to: 1025), of: first)
        reporter.note(.moved(to: 1026), of: first)
        reporter.note(.retrying(.connection("the connection broke"), after: .milliseconds(1500)), of: first)
        reporter.note(.startingOver(.uploadLost), of: first)
        trial.turn(by: .seconds(10))
        reporter.tick()
        reporter.note(.moved(to: 2048), of: first)
        reporter.end(first, with: result)
        let second = reporter.start("b")
        let refusal = ServerRefusal(status: 401, code: "UNAUTHORIZED", message: "No such token.", requestID: "r1")
        reporter.end(second, with: BlobClientError.refused(refusal))
        reporter.passOver("c", "is a symbolic link")
        reporter.finish(hint: nil)
    }

    @Test func plainLines() {
        let trial = Trial()
        Self.play(trial.reporter(.plain), trial)
        #expect(trial.results == "d1  http://s/d1  a\\u{1b}b\n")
        let lines = trial.messages.split(separator: "\n").map(String.init)
        #expect(
            lines == [
                "a\\u{1b}b: goes on at 1.0 KiB of 2.0 KiB",
                "a\\u{1b}b: tries again in 1.5 s: the connection broke",
                "a\\u{1b}b: begins anew: the server no longer has what it received",
                "a\\u{1b}b: 0 bytes of 2.0 KiB",
                "a\\u{1b}b: done, 2.0 KiB in 11.0 s",
                "blob: b: the server answered 401 UNAUTHORIZED: No such token.",
                "      the token is missing, mistyped or expired: give BLOB_TOKEN, or store one with 'blob login'",
                "c: passed over, it is a symbolic link",
                "1 file done, 1 failed; 2.0 KiB in 11.0 s, 186 bytes/s",
            ], "\(trial.messages)")
    }

    @Test func quiet() {
        let trial = Trial()
        Self.play(trial.reporter(.quiet), trial)
        #expect(trial.results == "d1  http://s/d1  a\\u{1b}b\n")
        #expect(trial.messages.hasPrefix("blob: b: the server answered 401") && !trial.messages.contains("done"))
    }

    @Test func jsonLines() throws {
        let trial = Trial()
        Self.play(trial.reporter(.json), trial)
        #expect(trial.messages == "")
        let objects = try trial.results.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
        let events = objects.map { $0["event"] as? String ?? "" }
        let expected = [
            "began", "moved", "retrying", "starting_over", "moved", "done", "failed", "passed_over", "finished",
        ]
        #expect(events == expected)
        #expect(objects[0]["path"] as? String == "a\u{1B}b" && objects[0]["offset"] as? Int == 1024)
        #expect(objects[2]["after_seconds"] as? Double == 1.5)
        #expect(objects[3]["reason"] as? String == "upload_lost")
        #expect(objects[5]["digest"] as? String == "d1" && objects[5]["size"] as? Int == 2048)
        let error = try #require(objects[6]["error"] as? [String: Any])
        #expect(error["code"] as? String == "UNAUTHORIZED" && error["status"] as? Int == 401)
        #expect(error["request_id"] as? String == "r1" && error["advice"] is String)
        #expect(objects[8]["succeeded"] as? Int == 1 && objects[8]["failed"] as? Int == 1)
        #expect(objects[8]["bytes"] as? Int == 2050 && objects[8]["seconds"] as? Double == 11)
    }

    /// Without progress, everything is told but how far files are.
    @Test func noProgress() throws {
        let plain = Trial()
        Self.play(plain.reporter(.plain, showsProgress: false), plain)
        #expect(plain.messages.contains("done, 2.0 KiB") && !plain.messages.contains("0 bytes of"))
        let json = Trial()
        Self.play(json.reporter(.json, showsProgress: false), json)
        #expect(!json.results.contains(#""event":"moved""#) && json.results.contains(#""event":"starting_over""#))
    }

    @Test(
        "on a terminal a result is the digest, once, and as much of the path as there is room for",
        arguments: [
            ("call.wav", 80, "call.wav"), ("a-long-folder/call.wav", 80, "a-long-…ll.wav"),
            ("a-long-folder/call.wav", 100, "a-long-folder/call.wav"), ("عقد إيجار طويل جدا.pdf", 80, nil),
            ("a-long-folder/call.wav", 20, "a-long-…ll.wav"), ("a\u{1B}b", 80, "a\\u{1b}b"),
        ])
    func resultOnATerminal(path: String, columns: Int, shown: String?) {
        let trial = Trial()
        let reporter = trial.reporter(.plain, resultColumns: columns)
        let digest = String(repeating: "0a", count: 32)
        reporter.end(
            reporter.start(path), with: TransferResult(digest: digest, rest: ["http://s/api/blobs/\(digest)", path]))
        #expect(DisplayText.width(trial.results.dropLast()) <= max(80, columns), "\(trial.results)")
        if let shown { #expect(trial.results == digest + "  " + shown + "\n") }
    }

    /// However many files there are, the terminal is written to only when it is time to draw.
    @Test func drawing() {
        let trial = Trial()
        let reporter = trial.reporter(.terminal)
        for number in 1...100 {
            let id = reporter.start("file \(number)")
            reporter.note(.began(at: 0, size: 1), of: id)
            if number < 100 { reporter.end(id, with: Self.result) }
        }
        #expect(trial.messages == "" && trial.results == "")
        reporter.tick()
        #expect(trial.results.split(separator: "\n").count == 99)
        #expect(trial.messages.contains("file 100 ") && trial.messages.contains("99 files "))
        let before = trial.messages.count
        trial.turn(by: .seconds(1))
        reporter.tick()
        // Over the two lines that were drawn.
        #expect(trial.messages.dropFirst(before).hasPrefix("\r\u{1B}[2Afile 100"))
        reporter.end(1000, with: Self.result)
        reporter.finish(hint: "again")
        #expect(trial.messages.hasSuffix("blob: interrupted; again\n"), "\(trial.messages)")
    }

    @Test func interrupted() {
        let trial = Trial()
        let reporter = trial.reporter(.plain)
        reporter.end(reporter.start("a"), with: CancellationError())
        #expect(reporter.summary == TransferReporter.Summary(interrupted: 1) && reporter.summary.wasInterrupted)
        reporter.finish(hint: nil)
        #expect(trial.messages == "0 files done, 1 interrupted; 0 bytes in 0.0 s, 0 bytes/s\n")
    }

    /// An interruption between two files counts, too.
    @Test func cutShort() {
        let reporter = Trial().reporter(.quiet)
        #expect(!reporter.summary.wasInterrupted)
        reporter.endEarly()
        #expect(reporter.summary.wasInterrupted && reporter.summary.interrupted == 0)
    }
}
