// Requests as the tests write them and answers as they came over the wire.

import Foundation

/// Header fields in their order; names are looked up without regard to case.
struct Headers: Sendable, ExpressibleByDictionaryLiteral {
    private(set) var fields: [(name: String, value: String)] = []

    init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { (name: $0.0, value: $0.1) }
    }

    subscript(name: String) -> String? {
        all(name).first
    }

    func all(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    mutating func add(_ name: String, _ value: String) {
        fields.append((name, value))
    }

    /// Both lists; a name that is in `others` too has the others' value.
    func overridden(by others: Headers) -> Headers {
        var result = self
        result.fields.removeAll { others[$0.name] != nil }
        result.fields += others.fields
        return result
    }
}

struct Request: Sendable {
    enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Sent with `Transfer-Encoding: chunked`.
        case chunked([[UInt8]])
    }

    var method: String
    var target: String
    var headers: Headers = [:]
    var body: Body = .none

    /// The request line and the header section, with the framing that the body needs unless the test sets its own.
    var head: [UInt8] {
        var fields = headers
        if fields["Host"] == nil { fields.add("Host", "127.0.0.1") }
        switch body {
        case .none: break
        case .bytes(let bytes):
            if fields["Content-Length"] == nil { fields.add("Content-Length", String(bytes.count)) }
        case .chunked: fields.add("Transfer-Encoding", "chunked")
        }
        let lines = ["\(method) \(target) HTTP/1.1"] + fields.fields.map { "\($0.name): \($0.value)" }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    var encodedBody: [UInt8] {
        switch body {
        case .none: return []
        case .bytes(let bytes): return bytes
        case .chunked(let chunks):
            return chunks.filter { !$0.isEmpty }.flatMap(Self.chunk) + Array("0\r\n\r\n".utf8)
        }
    }

    var encoded: [UInt8] { head + encodedBody }

    /// One chunk of a chunked body.
    static func chunk(_ bytes: [UInt8]) -> [UInt8] {
        Array((String(bytes.count, radix: 16) + "\r\n").utf8) + bytes + Array("\r\n".utf8)
    }

    /// The same request with these headers added, or put in the place of its own.
    func with(_ others: Headers) -> Request {
        var request = self
        request.headers = headers.overridden(by: others)
        return request
    }

    /// The path without the query.
    var path: String {
        String(target.prefix { $0 != "?" })
    }
}

struct Response: Sendable {
    /// The informational answers (1xx) that came before.
    var informational: [Int] = []
    var status: Int
    var headers: Headers
    var body: [UInt8] = []

    var text: String { String(decoding: body, as: UTF8.self) }

    /// Nil when the body is not JSON.
    var json: JSON? { try? JSONDecoder().decode(JSON.self, from: Data(body)) }
}

extension Response: CustomStringConvertible {
    var description: String {
        let fields = headers.fields.map { "\($0.name): \($0.value)" }.joined(separator: "\n")
        return "\(status)\n\(fields)\n\n\(String(decoding: body.prefix(2000), as: UTF8.self))"
    }
}

/// A JSON value, to look into without a type per answer.
enum JSON: Sendable, Equatable, Decodable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    subscript(key: String) -> JSON? { object?[key] }

    subscript(index: Int) -> JSON? {
        array.flatMap { $0.indices.contains(index) ? $0[index] : nil }
    }

    var boolean: Bool? {
        if case .boolean(let value) = self { value } else { nil }
    }

    var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    var array: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    var object: [String: JSON]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// This value and all within it.
    var all: [JSON] {
        switch self {
        case .array(let values): [self] + values.flatMap(\.all)
        case .object(let values): [self] + values.values.flatMap(\.all)
        default: [self]
        }
    }
}
