// The characters of HTTP/1.1, as bytes.

import BlobCore

/// Classes of RFC 9110 §5.5 and §5.6, and of RFC 3986.
extension UInt8 {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")

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
    /// `uri-host [ ":" port ]` (RFC 9110 §7.2). It may be empty: the target's own authority may be.
    func isHost(_ range: Range<Int>) -> Bool {
        var end = range.lowerBound
        if end < range.upperBound, self[end] == UInt8(ascii: "[") {
            end += 1
            while end < range.upperBound, self[end].isInHost || self[end] == UInt8(ascii: ":") { end += 1 }
            guard end > range.lowerBound + 1, end < range.upperBound, self[end] == UInt8(ascii: "]") else {
                return false
            }
            end += 1
        } else {
            while end < range.upperBound, self[end].isInHost { end += 1 }
        }
        return end == range.upperBound || self[end] == UInt8(ascii: ":") && isPort(end + 1..<range.upperBound)
    }

    /// It may be empty (RFC 3986 §3.2.3).
    private func isPort(_ range: Range<Int>) -> Bool {
        guard range.count <= 5, areDigits(range) else { return false }
        var port = 0
        for index in range { port = 10 * port + Int(self[index] - UInt8(ascii: "0")) }
        return port <= UInt16.max
    }
}
