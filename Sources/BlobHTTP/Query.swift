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
    /// - Throws: ``WireError`` when the value's percent sequences are malformed or not UTF-8.
    func value(_ name: String) throws(WireError) -> String? {
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let mark = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard PercentEncoding.stands(pair[..<mark], for: name, isForm: true) else { continue }
            let encoded = mark == pair.endIndex ? pair[mark...] : pair[pair.index(after: mark)...]
            if let value = PercentEncoding.decoded(Substring(encoded), isForm: true) { return value }
            guard let half = Self.surrogate(in: encoded) else {
                throw .invalid("The parameter '\(name)' is not percent-encoded UTF-8.")
            }
            throw .invalid(
                "The parameter '\(name)' holds U+\(half), half of a surrogate pair: encode whole characters as UTF-8.")
        }
        return nil
    }

    /// The same, parsed.
    func value<Value>(
        _ name: String, parsedBy parse: (String) throws(BlobError) -> Value?
    ) throws(WireError) -> Value? {
        guard let text = try value(name) else { return nil }
        do throws(BlobError) {
            return try parse(text)
        } catch {
            throw WireError(error, in: "The parameter '\(name)'")
        }
    }

    /// The first surrogate, as programs send it that hold text in UTF-16 and cut a character in two.
    private static func surrogate(in text: Substring.UTF8View) -> String? {
        let bytes = PercentEncoding.bytes(Substring(text), isForm: true) ?? []
        let start = bytes.indices.dropLast(2).first { start in
            bytes[start] == 0xED && (0xA0...0xBF).contains(bytes[start + 1]) && (0x80...0xBF).contains(bytes[start + 2])
        }
        return start.map { start in
            String(
                0xD000 | Int(bytes[start + 1] & 0x3F) << 6 | Int(bytes[start + 2] & 0x3F), radix: 16, uppercase: true)
        }
    }
}

extension Request {
    var query: Query { Query(queryText) }
}
