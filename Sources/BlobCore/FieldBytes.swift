// The text of HTTP's fields, as bytes.

/// Classes of RFC 9110 §5.5 and §5.6.
extension UInt8 {
    package static let space = UInt8(ascii: " ")
    fileprivate static let comma = UInt8(ascii: ",")
    fileprivate static let quote = UInt8(ascii: "\"")

    package var isBlank: Bool { self == .space || self == UInt8(ascii: "\t") }

    package var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

    package var lowercased: UInt8 { self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self }
}

/// Parts of a text, without a copy of them. Characters would have to be found first, which takes a hundred times as
/// long, and a comma with a mark of Unicode behind it would be none.
extension Span<UInt8> {
    package func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
        var index = range.lowerBound
        while index < range.upperBound {
            if self[index] == byte { return index }
            index += 1
        }
        return nil
    }

    package func text(_ range: Range<Int>) -> String {
        extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// - Parameter text: in lower case where its case does not count.
    package func equals(_ text: String, _ range: Range<Int>) -> Bool {
        range.count == text.utf8.count && begins(with: text, range)
    }

    /// - Parameter text: in lower case where its case does not count.
    package func begins(with text: String, _ range: Range<Int>) -> Bool {
        guard range.count >= text.utf8.count else { return false }
        var index = range.lowerBound
        for byte in text.utf8 {
            guard self[index] == byte || self[index].lowercased == byte else { return false }
            index += 1
        }
        return true
    }

    /// The same, where case counts.
    package func isExactly(_ text: String, _ range: Range<Int>) -> Bool {
        guard range.count == text.utf8.count else { return false }
        var index = range.lowerBound
        for byte in text.utf8 {
            guard self[index] == byte else { return false }
            index += 1
        }
        return true
    }

    /// A range without the blanks at both of its ends (`OWS` of RFC 9110 §5.6.3).
    package func trimmed(_ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, self[start].isBlank { start += 1 }
        while start < end, self[end - 1].isBlank { end -= 1 }
        return start..<end
    }

    package func areDigits(_ range: Range<Int>) -> Bool {
        for index in range where !self[index].isDigit { return false }
        return true
    }
}

extension Int64 {
    /// A number as fields write it, digits only; `nil` for anything else and for what does not fit.
    public init?(decimal text: some StringProtocol) {
        self.init(digits: String(text).utf8.span)
    }

    private init?(digits: borrowing Span<UInt8>) {
        guard !digits.isEmpty, digits.areDigits(0..<digits.count) else { return nil }
        self = 0
        for index in 0..<digits.count {
            let (tens, isTooLarge) = multipliedReportingOverflow(by: 10)
            let (sum, isLarger) = tens.addingReportingOverflow(Int64(digits[index] - UInt8(ascii: "0")))
            guard !isTooLarge, !isLarger else { return nil }
            self = sum
        }
    }
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), one after the other. Empty ones do not count, and a comma
/// within quotes is no end.
package struct ListMembers {
    private var position = 0

    package init() {}

    package mutating func next(in bytes: borrowing Span<UInt8>) -> Range<Int>? {
        while position < bytes.count {
            let start = position
            var isQuoted = false
            while position < bytes.count, isQuoted || bytes[position] != .comma {
                if bytes[position] == .quote { isQuoted.toggle() }
                position += 1
            }
            let member = bytes.trimmed(start..<position)
            position += 1
            if !member.isEmpty { return member }
        }
        return nil
    }
}

extension String {
    /// Whether this is a word, given in lower case, in either case.
    package func isWord(_ word: String) -> Bool { utf8.span.equals(word, 0..<utf8.count) }
}
