// Bytes in the text of URLs and of headers: `%XX` where they cannot stand for themselves.

/// RFC 3986, §2.1.
public enum PercentEncoding {
    /// A name or value of a query, or one step of a path: everything but unreserved characters is encoded (§2.3).
    public static func component(_ text: String) -> String { encoded(text, keeping: isUnreserved) }

    /// A path. Nothing is normalized: `a//b` and `../c` stay what they are.
    public static func path(_ text: String) -> String {
        encoded(text) { isUnreserved($0) || $0 == UInt8(ascii: "/") }
    }

    /// - Parameter isKept: whether a byte stands for itself.
    public static func encoded(_ text: String, keeping isKept: (UInt8) -> Bool) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if isKept(byte) { result.append(byte) } else { result += triplet(byte).utf8 }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// `%XX`, in capitals.
    public static func triplet(_ byte: UInt8) -> String {
        "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }

    /// - Parameter isForm: whether `+` is a space, as HTML forms and some stores write it.
    /// - Returns: `nil` when a `%` has not two digits behind it, or the bytes are no UTF-8.
    public static func decoded(_ text: Substring, isForm: Bool = false) -> String? {
        bytes(text, isForm: isForm).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The same, whatever the bytes are.
    public static func bytes(_ text: Substring, isForm: Bool = false) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count)
        var rest = text.utf8
        while !rest.isEmpty {
            guard let byte = next(in: &rest, isForm: isForm) else { return nil }
            result.append(byte)
        }
        return result
    }

    /// Whether a text, decoded, is another one. No copy of it is made.
    package static func stands(_ text: Substring.UTF8View, for other: String, isForm: Bool = false) -> Bool {
        var rest = text
        for byte in other.utf8 {
            guard next(in: &rest, isForm: isForm) == byte else { return false }
        }
        return rest.isEmpty
    }

    /// - Returns: `nil` where nothing is left, or no byte.
    private static func next(in rest: inout Substring.UTF8View, isForm: Bool) -> UInt8? {
        switch rest.popFirst() {
        case UInt8(ascii: "+") where isForm: return UInt8(ascii: " ")
        case UInt8(ascii: "%"):
            guard let high = rest.popFirst()?.hexDigitValue, let low = rest.popFirst()?.hexDigitValue else {
                return nil
            }
            return high << 4 | low
        case let byte: return byte
        }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
