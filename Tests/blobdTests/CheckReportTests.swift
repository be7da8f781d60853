// The output of a check for people and programs.

import BlobCore
import BlobStorage
import Foundation
import Program
import Synchronization
import Testing

@testable import blobd

@Suite struct CheckReportTests {
    private final class Output: Sendable {
        let text = Mutex("")
    }

    private let output = Output()
    private let record = BlobRecord(digest: BlobDigest(of: [1]), size: 2048, condition: .sound)

    private func report(_ style: CheckReport.Style) -> CheckReport {
        CheckReport(style: style) { [output] text, ending in output.text.withLock { $0 += text + ending } }
    }

    private var lines: [String] {
        output.text.withLock { $0 }.replacing("\r\u{1B}[K", with: "").split(separator: "\n").map(String.init)
    }

    @Test func linesForPeople() {
        let report = report(.text)
        report.begin(byteCount: 6144)
        report.examined(record, .sound)
        report.read(2048)
        report.examined(record, .changed(MeasuredBytes(size: 2048, digest: BlobDigest(of: [2]))))
        report.examined(record, .changed(MeasuredBytes(size: 7, digest: record.digest)))
        report.examined(record, .missing)
        report.examined(BlobRecord(digest: record.digest, size: 1, condition: .damaged), .missing)
        report.fault("an upload lost bytes")
        report.orphan()
        report.orphan()
        #expect(!report.end())
        #expect(
            lines == [
                "the blob \(record.digest) is damaged: its 2048 bytes are \(BlobDigest(of: [2]))",
                "the blob \(record.digest) has 7 bytes instead of 2048", "the blob \(record.digest) has no bytes",
                "the blob \(record.digest) was damaged before; its bytes are in quarantine", "an upload lost bytes",
                "5 blobs, 2.0 KiB read in 0s: 4 damaged, 1 other faults, 2 without a row",
            ])
    }

    @Test func linesForPrograms() throws {
        let report = report(.json)
        report.begin(byteCount: 0)
        report.examined(record, .changed(MeasuredBytes(size: 7, digest: record.digest)))
        #expect(!report.end())
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let events = try lines.map { try decoder.decode(CheckReport.Line.self, from: Data($0.utf8)) }
        #expect(events.map(\.event) == ["damaged", "done"])
        #expect(events[0] == CheckReport.Line(event: "damaged", digest: record.digest.hex, size: 2048, foundSize: 7))
        #expect((events[1].blobs, events[1].damaged, events[1].faults) == (1, 1, 0))
    }

    @Test func nothingWrongIsWell() {
        let report = report(.text)
        report.begin(byteCount: 0)
        report.examined(record, .sound)
        report.examined(record, .gone)
        report.orphan()
        #expect(report.end())
    }

    @Test func whatCannotBeToldIsAnError() {
        let report = CheckReport(style: .json) { (text, _) throws(OutputFailure) in
            if text.contains("fault") { throw OutputFailure(reason: "No space left on device") }
        }
        report.begin(byteCount: 0)
        report.examined(record, .missing)
        #expect(throws: Never.self) { try report.requireWritten() }
        report.fault("an upload lost bytes")
        #expect(!report.end(), "it goes on to its end")
        #expect(throws: OutputFailure(reason: "No space left on device")) { try report.requireWritten() }
    }

    /// Nobody may take a sample for a look at everything.
    @Test(arguments: [(0.5, "0.5"), (1, "1"), (7, "7"), (33.3, "33.3")])
    func aSampleSaysSo(percent: Double, text: String) throws {
        for style in [CheckReport.Style.text, .json] {
            let report = report(style)
            report.begin(byteCount: 0, samplePercent: percent)
            report.examined(record, .sound)
            #expect(report.end())
        }
        try #require(lines.count == 2)
        #expect(lines[0].hasPrefix("1 blobs, a sample of \(text) %, 0 bytes read in"))
        #expect(lines[1].contains("\"sample_percent\":\(text),"))
    }
}
