// Values in the form in which every catalog's rows hold them.

public import BlobCore
public import struct Foundation.Date

/// Milliseconds since 1970, as all times are stored.
public struct Timestamp: Comparable, Sendable {
    public let milliseconds: Int64

    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// The nearest millisecond: a stored time that was read back and is stored again stays the same.
    public init(_ date: Date) {
        milliseconds =
            Int64(exactly: (date.timeIntervalSince1970 * 1000).rounded()) ?? (date > .distantPast ? .max : .min)
    }

    public var date: Date { Date(timeIntervalSince1970: Double(milliseconds) / 1000) }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// The time that was so long before.
    public static func - (time: Timestamp, duration: Duration) -> Timestamp {
        let (earlier, underflow) = time.milliseconds.subtractingReportingOverflow(duration.milliseconds)
        return Timestamp(milliseconds: underflow ? (duration < .zero ? .max : .min) : earlier)
    }
}

extension Duration {
    /// The whole milliseconds of it, as far as 64 bits reach.
    public var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? (seconds < 0 ? .min : .max) : whole &+ attoseconds / 1_000_000_000_000_000
    }
}

extension Set<Scope> {
    /// Reads scopes that are separated by spaces. One that only a newer version knows allows nothing here.
    public init(stored text: String) {
        self.init(text.split(separator: " ").compactMap { Scope(rawValue: String($0)) })
    }

    public var stored: String { map(\.rawValue).sorted().joined(separator: " ") }
}

extension FileQuery {
    /// The LIKE pattern of all names and paths that hold a text, with `\` before characters that are meant literally.
    ///
    /// - Returns: `nil` when none can hold it. Databases read a pattern to its first NUL or refuse it, and refuse
    ///   endless ones.
    public static func pattern(holding text: String) -> String? {
        guard text.utf8.count <= RelativePath.maximumByteCount, !text.utf8.contains(0) else { return nil }
        var pattern = "%"
        for scalar in text.unicodeScalars {
            if scalar == "%" || scalar == "_" || scalar == "\\" { pattern.unicodeScalars.append("\\") }
            pattern.unicodeScalars.append(scalar)
        }
        return pattern + "%"
    }
}
