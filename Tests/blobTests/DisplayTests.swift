// The terminal's lines, with a fixed clock and width.

import BlobClient
import BlobCore
import Testing

@testable import blob

struct DisplayTests {
    @Test(arguments: [
        ("report.pdf", "report.pdf"), ("a\u{1B}[31mb\n", "a\u{FFFD}[31mb\u{FFFD}"),
        ("\u{202E}txt.exe", "\u{FFFD}txt.exe"),
        ("a\u{9B}b\u{7F}", "a\u{FFFD}b\u{FFFD}"), ("عقد.pdf", "عقد.pdf"), ("a\u{2028}b", "a\u{FFFD}b"),
    ])
    func safeText(text: String, shown: String) {
        #expect(DisplayText.safe(text) == shown)
    }

    @Test(arguments: [
        ("abc", 3), ("文件", 4), ("عقد", 3), ("عَقْد", 3), ("e\u{301}", 1), ("ﾊﾝｶｸ", 4), ("全角！", 6), ("😀", 2), ("한국", 4),
        ("", 0),
    ])
    func widths(text: String, width: Int) {
        #expect(DisplayText.width(text) == width)
    }

    @Test(arguments: [
        ("name.bin", 12, "name.bin    "), ("name.bin", 8, "name.bin"), ("a-long-name.bin", 9, "a-lo….bin"),
        ("文件文件文件.bin", 10, "文件… .bin"), ("日本", 3, "…本"), ("abc", 1, "…"), ("abc", 0, ""),
    ])
    func fitting(text: String, columns: Int, shown: String) {
        let fitted = DisplayText.fitted(text, to: columns)
        #expect(DisplayText.width(fitted) == columns)
        #expect(fitted.filter { $0 != " " } == shown.filter { $0 != " " })
    }

    @Test func rightToLeftNames() {
        #expect(DisplayText.fitted("عقد.pdf", to: 9) == "\u{2068}عقد.pdf\u{2069}  ")
    }

    @Test(arguments: [(0, "0:00"), (59, "0:59"), (754, "12:34"), (3723, "1:02:03"), (3_600_000, "long")])
    func times(seconds: Int, text: String) {
        #expect(DisplayText.time(.seconds(seconds)) == text)
    }

    private static func line(_ columns: Int) -> String {
        ProgressLine(label: "video.mp4", offset: 256 << 20, size: 1 << 30, rate: Double(64 << 20)).text(
            columns: columns)
    }

    @Test(arguments: [
        (100, "video.mp4 [=====>              ]  25%     256 MiB/1.0 GiB  64.0 MiB/s    0:12"),
        (80, "video.mp4 [=>    ]  25%     256 MiB/1.0 GiB  64.0 MiB/s    0:12"),
        (50, "video.mp4  25%  64.0 MiB/s    0:12"), (20, "video.mp4  25%"),
    ])
    func progressLines(columns: Int, shown: String) {
        let line = Self.line(columns)
        #expect(line.count == columns)
        #expect(line.split(separator: " ").joined(separator: " ") == shown.split(separator: " ").joined(separator: " "))
    }

    @Test(arguments: Array(1...160))
    func noLineIsTooWide(columns: Int) {
        var board = TransferBoard()
        for (id, label) in ["عقد إيجار طويل جدا.pdf", "文件文件文件文件文件.bin", "a\u{1B}[2J", "waiting", "😀👍🏽"].enumerated() {
            board.start(id, label, at: .zero)
            board.note(.began(at: 0, size: 1 << 40), of: id, at: .zero)
            board.note(.moved(to: 1 << 39), of: id, at: .seconds(1))
        }
        board.note(.retrying(.connection("no route\u{1B}[m to the host"), after: .seconds(3)), of: 3, at: .seconds(1))
        let lines = board.lines(columns: columns, rows: 6, at: .seconds(1))
        #expect(lines.count == 6)
        #expect(lines.allSatisfy { DisplayText.width($0) < max(2, columns) && !$0.contains("\u{1B}") }, "\(lines)")
    }

    /// The time that is left is shown within the first second.
    @Test func rates() {
        var board = TransferBoard()
        board.start(1, "file", at: .zero)
        board.note(.began(at: 1000, size: 11_000), of: 1, at: .milliseconds(100))
        #expect(board.rows[1]?.rate.rate(at: .milliseconds(200)) == nil)
        board.note(.moved(to: 2000), of: 1, at: .milliseconds(600))
        #expect(board.rows[1]?.rate.rate(at: .milliseconds(600)) == 2000)
        // When no more bytes come, it falls.
        #expect(board.rows[1]?.rate.rate(at: .milliseconds(1100)) == 1000)
        #expect(board.moved == 1000)
        // Lost bytes are no negative speed.
        board.note(.moved(to: 1500), of: 1, at: .seconds(1))
        #expect(board.rows[1]?.rate.rate(at: .seconds(2)) == nil)
    }

    @Test func rateOfTheLastSeconds() {
        var meter = RateMeter()
        for step in 0...1000 { meter.note(Int64(step), at: .milliseconds(100 * step)) }
        for step in 1...1000 { meter.note(1000 + Int64(10 * step), at: .milliseconds(100_000 + 100 * step)) }
        #expect(meter.rate(at: .seconds(200)).map { $0.rounded() } == 100)
    }

    @Test func totals() {
        var board = TransferBoard()
        board.expected = (files: 2, bytes: 3000)
        board.start(1, "a", at: .zero)
        board.note(.began(at: 500, size: 1000), of: 1, at: .zero)
        board.note(.moved(to: 1000), of: 1, at: .seconds(1))
        board.end(1, isThere: true)
        board.start(2, "b", at: .seconds(1))
        board.note(.began(at: 0, size: 2000), of: 2, at: .seconds(1))
        let total = board.lines(columns: 101, rows: 24, at: .seconds(1)).last ?? ""
        #expect(total.hasPrefix("1 of 2 files "))
        #expect(
            total.contains(" 33% ") && total.contains("1000 bytes/2.9 KiB") && total.contains("500 bytes/s"), "\(total)"
        )
        #expect(board.moved == 500)
    }

    @Test(arguments: [("plain.txt", "plain.txt", false), ("a\nb", "a\\nb", true), ("a\\b", "a\\\\b", true)])
    func hashLines(path: String, shown: String, isMarked: Bool) throws {
        let hex = String(repeating: "ab", count: 32)
        let line = HashCommand.line(try .init(parsing: hex), Array(path.utf8), isShown: false)
        #expect(String(decoding: line, as: UTF8.self) == (isMarked ? "\\" : "") + hex + "  " + shown)
    }
}
