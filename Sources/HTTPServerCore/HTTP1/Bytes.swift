// The characters of HTTP/1.1, as bytes.

/// Classes of RFC 9110 §5.5 and §5.6, and of RFC 3986.
extension UInt8 {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")

    var isBlank: Bool { self == .space || self == UInt8(ascii: "\t") }

    var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

    var lowercased: UInt8 { self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self }

    /// Visible, or beyond ASCII, or a blank.
    var isInFieldValue: Bool { self >= 0x20 && self != 0x7F || self == UInt8(ascii: "\t") }

    /// A fragment has no place in a request. Other characters that a URI should encode are what some clients send.
    var isInTarget: Bool { self > 0x20 && self != 0x7F && self != UInt8(ascii: "#") }

    /// `token` of RFC 9110 §5.6.2.
    var isInToken: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"),
            UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"),
            UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// `reg-name` of RFC 3986 §3.2.2, but for the digits of a percent sequence.
    fileprivate var isInHost: Bool {
        switch self {
        case UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "#"): false
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="): true
        default: isInToken
        }
    }
}

extension Span<UInt8> {
    func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
        var index = range.lowerBound
        while index < range.upperBound {
            if self[index] == byte { return index }
            index += 1
        }
        return nil
    }

    func text(_ range: Range<Int>) -> String {
        extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    func equals(_ text: String, _ range: Range<Int>) -> Bool {
        range.count == text.utf8.count && begins(with: text, range)
    }

    /// - Parameter text: in lower case where its case does not count.
    func begins(with text: String, _ range: Range<Int>) -> Bool {
        guard range.count >= text.utf8.count else { return false }
        var index = range.lowerBound
        for byte in text.utf8 {
            guard self[index] == byte || self[index].lowercased == byte else { return false }
            index += 1
        }
        return true
    }

    /// `uri-host [ ":" port ]` (RFC 9110 §7.2). It may be empty: the target's own authority may be.
    func isHost(_ range: Range<Int>) -> Bool {
        var end = range.lowerBound
        if end < range.upperBound, self[end] == UInt8(ascii: "[") {
            end += 1
            while end < range.upperBound, self[end].isInHost || self[end] == UInt8(ascii: ":") { end += 1 }
            guard end < range.upperBound, self[end] == UInt8(ascii: "]") else { return false }
            end += 1
        } else {
            while end < range.upperBound, self[end].isInHost { end += 1 }
        }
        guard end < range.upperBound else { return true }
        guard self[end] == UInt8(ascii: ":"), range.upperBound - end <= 6 else { return false }
        for index in end + 1..<range.upperBound where !self[index].isDigit { return false }
        return true
    }
}
