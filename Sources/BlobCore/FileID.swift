// The identity of a file.

public import Foundation

/// The identity of a file: a snowflake: milliseconds since 2018-01-01 UTC in the bits above 22 and a
/// sequence below them, so that identities grow with time.
///
/// On the wire it is the base64 of the decimal number, as the reference API writes it.
public struct FileID: Hashable, Comparable, Sendable {
    /// The number; never negative.
    public let value: Int64

    private static let epoch = Date(timeIntervalSince1970: 1_514_764_800)
    private static let sequenceBits: Int64 = 22

    /// Takes over a number; `nil` for a negative one.
    public init?(value: Int64) {
        guard value >= 0 else { return nil }
        self.value = value
    }

    /// Reads the wire form; `nil` for anything that ``description`` would not have written.
    public init?(parsing text: some StringProtocol) {
        guard text.utf8.count <= 28, let data = Data(base64Encoded: String(text)),
            let decimal = String(bytes: data, encoding: .ascii), let value = Int64(decimal), value >= 0
        else { return nil }
        self.value = value
        guard description == String(text) else { return nil }
    }

    /// The identity for a file made now: later than `last`, whatever the clock does.
    public init(at now: Date, after last: FileID?) {
        let milliseconds = max(0, now.timeIntervalSince(Self.epoch) * 1000).rounded(.down)
        let fromClock = (Int64(exactly: milliseconds) ?? 0).multipliedReportingOverflow(by: 1 << Self.sequenceBits)
        let earliest = last.map { $0.value &+ 1 } ?? 0
        value = max(fromClock.overflow ? 0 : fromClock.partialValue, earliest)
    }

    public static func < (left: FileID, right: FileID) -> Bool { left.value < right.value }
}

extension FileID: CustomStringConvertible {
    public var description: String { Data(String(value).utf8).base64EncodedString() }
}
