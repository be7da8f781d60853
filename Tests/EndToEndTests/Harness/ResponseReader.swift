// Reads one answer out of the bytes of a connection, as RFC 9112 frames it.

import Foundation

struct ResponseReader {
    private enum Framing {
        case length(Int)
        case chunked
        case untilClose
    }

    private let method: String
    private var response: Response?
    private var framing = Framing.length(0)
    private var informational: [Int] = []

    init(method: String) {
        self.method = method
    }

    /// Takes the bytes that it needs from `bytes`; the answer when it is whole.
    mutating func read(_ bytes: inout [UInt8]) throws -> Response? {
        while response == nil {
            guard let head = try Self.takeHead(&bytes) else { return nil }
            if (100..<200).contains(head.status) {
                informational.append(head.status)
            } else {
                response = head
                response?.informational = informational
                framing = try framing(of: head)
            }
        }
        switch framing {
        case .length(let length):
            guard bytes.count >= length else { return nil }
            return finish(with: Self.take(length, from: &bytes))
        case .chunked:
            guard let body = try Self.takeChunks(&bytes) else { return nil }
            return finish(with: body)
        case .untilClose:
            return nil
        }
    }

    /// The connection has ended: nil when that is before any answer, otherwise the answer if its end is the
    /// connection's.
    mutating func end(_ bytes: inout [UInt8]) throws -> Response? {
        if response == nil, bytes.isEmpty { return nil }
        guard case .untilClose = framing, response != nil else {
            throw Failure("the connection ended within an answer")
        }
        return finish(with: Self.take(bytes.count, from: &bytes))
    }

    static func takeInformational(_ bytes: inout [UInt8]) throws -> Int? {
        guard let head = try takeHead(&bytes) else { return nil }
        guard (100..<200).contains(head.status) else { throw Failure("a final answer in place of 100: \(head)") }
        return head.status
    }

    private func finish(with body: [UInt8]) -> Response? {
        var whole = response
        whole?.body = body
        return whole
    }

    private func framing(of head: Response) throws -> Framing {
        if method == "HEAD" || head.status == 204 || head.status == 304 { return .length(0) }
        if head.headers["Transfer-Encoding"]?.lowercased() == "chunked" { return .chunked }
        guard let length = head.headers["Content-Length"] else { return .untilClose }
        guard let count = Int(length), count >= 0 else { throw Failure("Content-Length: \(length)") }
        return .length(count)
    }

    private static func takeHead(_ bytes: inout [UInt8]) throws -> Response? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let text = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        bytes.removeSubrange(..<end.upperBound)
        let lines = text.components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw Failure("not a status line: \(lines[0])")
        }
        var headers = Headers()
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw Failure("not a header line: \(line)") }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers.add(String(line[..<colon]), value)
        }
        return Response(status: status, headers: headers)
    }

    private static func take(_ count: Int, from bytes: inout [UInt8]) -> [UInt8] {
        defer { bytes.removeFirst(count) }
        return Array(bytes.prefix(count))
    }

    /// All chunks and the trailer, or nil while they are not all there.
    private static func takeChunks(_ bytes: inout [UInt8]) throws -> [UInt8]? {
        var body: [UInt8] = []
        var position = 0
        while let line = bytes[position...].firstRange(of: [13, 10]) {
            let size = String(
                decoding: bytes[position..<line.lowerBound].prefix { $0 != UInt8(ascii: ";") }, as: UTF8.self)
            guard let count = Int(size, radix: 16) else { throw Failure("not a chunk's size: \(size)") }
            if count == 0 {
                guard let end = bytes[line.lowerBound...].firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
                bytes.removeSubrange(..<end.upperBound)
                return body
            }
            guard bytes.count >= line.upperBound + count + 2 else { return nil }
            body += bytes[line.upperBound..<line.upperBound + count]
            position = line.upperBound + count + 2
        }
        return nil
    }
}
