// The time on a line of the log.

import BlobStorage
import Foundation
import Glibc

/// A moment in UTC, written as RFC 3339 with milliseconds: `2026-01-31T23:59:59.000Z`.
struct LogTime: Sendable {
    private let time: Timestamp

    init(_ time: Timestamp) { self.time = time }

    static let zero = LogTime(Timestamp(milliseconds: 0))

    static var now: LogTime { LogTime(Timestamp(Date())) }

    /// Appends the text by hand: every request writes one, and a date formatter would cost more than the rest of the
    /// line.
    func append(to bytes: inout [UInt8]) {
        var seconds = Int(time.milliseconds / 1000)
        var fields = tm()
        _ = gmtime_r(&seconds, &fields)
        Self.append(fields.tm_year &+ 1900, digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(fields.tm_mon &+ 1, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(fields.tm_mday, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        Self.append(fields.tm_hour, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(fields.tm_min, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(fields.tm_sec, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        Self.append(CInt(time.milliseconds % 1000), digits: 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    private static func append(_ number: CInt, digits: Int, to bytes: inout [UInt8]) {
        var divisor: CInt = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }
}
