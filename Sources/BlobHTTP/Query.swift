// The parameters after the question mark.

import BlobCore
import HTTPServerCore

/// A query of `name=value` pairs, decoded when asked for: percent sequences as UTF-8, and `+` as a space, as HTML forms
/// and the usual URL libraries write it.
struct Query: Sendable {
    private let text: Substring

    init(_ text: Substring) {
        self.text = text
    }

    /// The first value of a parameter; `nil` when it is not given.
    ///
    /// - Throws: ``BlobError/Code/validationFailed`` when the value's percent sequences are malformed or not UTF-8.
    func value(_ name: String) throws(BlobError) -> String? {
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let mark = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard let found = Self.decode(pair[..<mark]), found == name else { continue }
            let encoded = mark == pair.endIndex ? pair[mark...] : pair[pair.index(after: mark)...]
            guard let value = Self.decode(encoded) else {
                throw BlobError(.validationFailed, "The parameter '\(name)' is not percent-encoded UTF-8.")
            }
            return value
        }
        return nil
    }

    /// Decodes percent sequences; `nil` when one is malformed or the bytes are not UTF-8.
    private static func decode(_ encoded: Substring.UTF8View.SubSequence) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encoded.count)
        var rest = encoded
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        Character(UnicodeScalar(digit)).hexDigitValue.map(UInt8.init)
    }
}

extension Request {
    var query: Query { Query(queryText) }
}
