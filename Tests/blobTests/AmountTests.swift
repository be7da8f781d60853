// Sizes and times as a command line gives them.

import Foundation
import Testing

@testable import blob

struct AmountTests {
    @Test(arguments: [
        ("0", 0), ("1000", 1000), ("1000B", 1000), ("20K", 20_480), ("20KiB", 20_480), ("20kb", 20_000),
        ("1.5M", 1_572_864),
        ("2GiB", 2 << 30), ("1T", 1 << 40), ("", nil), ("K", nil), ("-1", nil), ("1.2.3", nil), ("1X", nil),
        ("1KiBs", nil),
        ("9000000P", nil), ("1e3", nil), ("inf", nil), ("٣", nil),
    ])
    func byteCounts(text: String, bytes: Int64?) {
        #expect(ByteCount(argument: text)?.bytes == bytes)
    }

    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    @Test(arguments: [
        ("30s", -30), ("5m", -300), ("12h", -43_200), ("7d", -604_800), ("4w", -2_419_200), ("0d", 0),
    ])
    func ages(text: String, seconds: Double) {
        #expect(PastTime(argument: text)?.date(at: Self.now) == Self.now + seconds)
    }

    @Test(arguments: [
        ("2026-11-28", 1_795_824_000), ("2026-11-28T01:00:00Z", 1_795_827_600),
        ("2026-11-28T01:00:00+01:00", 1_795_824_000),
    ])
    func dates(text: String, seconds: Double) {
        #expect(PastTime(argument: text)?.date(at: Self.now) == Date(timeIntervalSince1970: seconds))
    }

    @Test(arguments: ["", "d", "-1d", "7", "1.5d", "7x", "yesterday", "2026-13-01"])
    func noTimes(text: String) {
        #expect(PastTime(argument: text) == nil)
    }
}

struct ByteRangeTests {
    @Test(
        arguments: [
            ("0-0", 10, 0..<1), ("0-499", 10, 0..<10), ("3-", 10, 3..<10), ("-3", 10, 7..<10), ("-30", 10, 0..<10),
            ("10-", 10, nil), ("-1", 0, nil), ("0-9223372036854775807", 10, 0..<10),
        ] as [(String, Int64, Range<Int64>?)])
    func bytes(_ text: String, of size: Int64, are range: Range<Int64>?) throws {
        #expect(try #require(ByteRange(argument: text)).bytes(of: size) == range)
    }

    @Test(arguments: ["", "-", "5", "5-4", "-0", "a-b", "1-2-3", "+1-2", "0-99999999999999999999", "1,2-3"])
    func refused(_ text: String) {
        #expect(ByteRange(argument: text) == nil)
    }
}
