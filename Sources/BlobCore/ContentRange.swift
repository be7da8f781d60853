// Which bytes of a whole a message holds.

/// The value of `Content-Range`: RFC 9110, §14.4.
public struct ContentRange: Equatable, Sendable {
    public let first: Int64
    /// Not less than ``first``.
    public let last: Int64
    /// The number of all bytes; `nil` where it is not told.
    public let size: Int64?

    /// - Parameter range: not empty.
    public init(_ range: Range<Int64>, of size: Int64?) {
        (first, last, self.size) = (range.lowerBound, range.upperBound - 1, size)
    }

    /// Reads `bytes first-last/size`, with `*` for a size that is not told; `nil` for anything else.
    public init?(parsing text: some StringProtocol) {
        self.init(parsing: String(text).utf8.span)
    }

    private init?(parsing bytes: borrowing Span<UInt8>) {
        guard bytes.begins(with: Self.unit, 0..<bytes.count),
            let dash = bytes.firstIndex(of: UInt8(ascii: "-"), in: Self.unit.utf8.count..<bytes.count),
            let slash = bytes.firstIndex(of: UInt8(ascii: "/"), in: dash..<bytes.count),
            let first = Int64(decimal: bytes.text(Self.unit.utf8.count..<dash)),
            let last = Int64(decimal: bytes.text(dash + 1..<slash)), first <= last
        else { return nil }
        let total = slash + 1..<bytes.count
        size = Int64(decimal: bytes.text(total))
        guard size != nil || bytes.equals("*", total) else { return nil }
        (self.first, self.last) = (first, last)
    }

    /// The value that says that no byte which was asked for is among those that there are.
    public static func unsatisfied(size: Int64) -> String { "\(unit)*/\(size)" }

    private static let unit = "bytes "
}

extension ContentRange: CustomStringConvertible {
    public var description: String { "\(Self.unit)\(first)-\(last)/\(size.map(String.init) ?? "*")" }
}
