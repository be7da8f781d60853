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
            guard let found = Self.decoded(pair[..<mark]), found == name else { continue }
            let encoded = mark == pair.endIndex ? pair[mark...] : pair[pair.index(after: mark)...]
            guard let value = Self.decoded(encoded) else {
                throw .invalid("The parameter '\(name)' is not percent-encoded UTF-8.")
            }
            return value
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

    private static func decoded(_ text: Substring.UTF8View) -> String? {
        PercentEncoding.decoded(Substring(text), isForm: true)
    }
}

extension Request {
    var query: Query { Query(queryText) }
}
