// The terminal's lines, with a fixed clock and width.

import BlobClient
import BlobCore
import Foundation
import Testing

@testable import blob

struct DisplayTests {
    @Test(arguments: [
        ("report.pdf", "report.pdf"), ("a\u{1B}[31mb\n", #"a\u{1b}[31mb\n"#),
        ("\u{202E}txt.exe", #"\u{202e}txt.exe"#), ("\r\t\u{0}", #"\r\t\u{0}"#), ("می\u{200C}خواهم", "می\u{200C}خواهم"),
        ("a\u{9B}b\u{7F}", #"a\u{9b}b\u{7f}"#), ("عقد.pdf", "عقد.pdf"), ("a\u{2028}b", #"a\u{2028}b"#),
        ("a\u{200B}\u{E0041}", #"a\u{200b}\u{e0041}"#),
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

    @Test func jsonOnATerminal() throws {
        let name = "\u{202E}a\u{9B}\u{7F}\u{1B}\u{E0041}\u{2028}عقد می\u{200C}خواهم"
        let line = JSONLines.text(["name": name])
        #expect(
            line == #"{"name":"\u202ea\u009b\u007f\u001b\udb40\udc41\u2028عقد می"# + "\u{200C}" + #"خواهم"}"#, "\(line)"
        )
        #expect(try JSONDecoder().decode([String: String].self, from: Data(line.utf8)) == ["name": name])
    }

    @Test("whatever a server tells of a file, its line is one line")
    func fileLines() throws {
        let evil = "\u{1B}]0;x\u{7}\n\u{202E}\u{9B}"
        var file = StoredFile(id: evil, digest: BlobDigest(of: []))
        (file.digest, file.name, file.path, file.owner, file.mediaType, file.url) = (evil, evil, evil, evil, evil, evil)
        let lines = [FileLine.short(file, owner: evil), FileLine.long(file)] + InfoCommand.rows(file).flatMap { $0 }
        for line in lines { #expect(HiddenCharacter.first(in: line) == nil, "\(line.debugDescription)") }
    }

    /// Any size may be announced.
    @Test func sizesWithoutSense() {
        for (size, rate) in [(Int64.max, 1e-9), (.max, 1e9), (.min, 1)] {
            let line = ProgressLine(label: "a", offset: 0, size: size, rate: rate)
            #expect(line.text(columns: 100).count == 100 && line.left != nil)
        }
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
