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
        guard text.prefix(Self.unit.count).lowercased() == Self.unit, let slash = text.lastIndex(of: "/") else {
            return nil
        }
        let total = text[text.index(after: slash)...]
        let size = Int64(decimal: total)
        guard total == "*" || size != nil else { return nil }
        let range = text[..<slash].dropFirst(Self.unit.count).split(separator: "-", omittingEmptySubsequences: false)
        guard range.count == 2, let first = Int64(decimal: range[0]), let last = Int64(decimal: range[1]), first <= last
        else { return nil }
        (self.first, self.last, self.size) = (first, last, size)
    }

    /// The value that says that no byte which was asked for is among those that there are.
    public static func unsatisfied(size: Int64) -> String { "\(unit)*/\(size)" }

    private static let unit = "bytes "
}

extension ContentRange: CustomStringConvertible {
    public var description: String { "\(Self.unit)\(first)-\(last)/\(size.map(String.init) ?? "*")" }
}

extension Int64 {
    /// A number as headers write it, digits only; `nil` for anything else and for what does not fit.
    public init?(decimal text: some StringProtocol) {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        self.init(text)
    }
}
