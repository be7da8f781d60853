// Sizes and times as a command line gives them.

import ArgumentParser
import Foundation

/// A number of bytes: `1000`, `20KiB`, `1.5GB`; `K` is short for `KiB`, and so on.
struct ByteCount: ExpressibleByArgument, Equatable {
    let bytes: Int64

    private static let units = ["K", "M", "G", "T", "P"]

    init?(argument: String) {
        let digits = argument.prefix { "0123456789.".contains($0) }
        guard let number = Double(digits), let factor = Self.factor(argument.dropFirst(digits.count).uppercased()),
            let bytes = Int64(exactly: (number * factor).rounded())
        else { return nil }
        self.bytes = bytes
    }

    private static func factor(_ unit: String) -> Double? {
        if ["", "B"].contains(unit) { return 1 }
        guard let power = units.firstIndex(where: { unit.hasPrefix($0) }) else { return nil }
        switch unit.dropFirst() {
        case "", "IB": return pow(1024, Double(power + 1))
        case "B": return pow(1000, Double(power + 1))
        default: return nil
        }
    }
}

/// A part of a blob: `0-499` is its first 500 bytes, `500-` all from byte 500 on, `-500` the last 500, as in RFC 9110,
/// §14.1.2.
struct ByteRange: ExpressibleByArgument, Equatable {
    private enum Kind: Equatable {
        case from(Int64, last: Int64?)
        case end(Int64)
    }

    private let kind: Kind

    init?(argument: String) {
        let numbers = argument.split(separator: "-", omittingEmptySubsequences: false)
        guard numbers.count == 2, numbers.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }) else {
            return nil
        }
        switch (Int64(numbers[0]), Int64(numbers[1])) {
        case (let first?, let last?) where first <= last: kind = .from(first, last: last)
        case (let first?, nil) where numbers[1].isEmpty: kind = .from(first, last: nil)
        case (nil, let count?) where numbers[0].isEmpty && count > 0: kind = .end(count)
        default: return nil
        }
    }

    /// The bytes that are meant of so many; `nil` where there are none.
    func bytes(of size: Int64) -> Range<Int64>? {
        switch kind {
        case .end(let count): size > 0 ? max(0, size - count)..<size : nil
        case .from(let first, let last):
            first < size ? first..<min(size, last.map { $0 < .max ? $0 + 1 : $0 } ?? size) : nil
        }
    }
}

/// So long: `30s`, `5m`, `12h`, `7d`, `4w`.
struct TimeSpan: ExpressibleByArgument, Equatable {
    let seconds: Int64

    private static let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]

    init?(argument: String) {
        guard let unit = argument.last.flatMap({ Self.units[$0] }), let number = UInt32(argument.dropLast()) else {
            return nil
        }
        seconds = Int64(number) * unit
    }
}

/// A time: so long ago (`30m`, `12h`, `7d`, `4w`), the beginning of a day in UTC (`2026-11-28`), or a moment as RFC
/// 3339 writes it.
struct PastTime: ExpressibleByArgument, Equatable {
    private enum Kind: Equatable {
        case ago(TimeInterval)
        case date(Date)
    }

    private let kind: Kind

    init?(argument: String) {
        if let span = TimeSpan(argument: argument) {
            kind = .ago(Double(span.seconds))
        } else if let date = try? Date(argument, strategy: .iso8601) {
            kind = .date(date)
        } else if let date = try? Date(argument, strategy: .iso8601.year().month().day()) {
            kind = .date(date)
        } else {
            return nil
        }
    }

    func date(at now: Date) -> Date {
        switch kind {
        case .ago(let seconds): now - seconds
        case .date(let date): date
        }
    }
}
