// The head of a request of HTTP/1.1, from its bytes.

import BlobCore
import HTTPTypes

/// What stands before a request's body, and where that body ends.
///
/// Two readers of one message must not disagree about where it ends: what RFC 9112 leaves to a recipient's leniency is
/// refused here, and so is every field that decides about it and comes twice.
struct RequestHead: Equatable {
    /// Where a request's body ends (RFC 9112 §6.3).
    enum Body: Equatable {
        case none
        /// In bytes, 1 at least. A length that does not fit is longer than any blob, whatever it is.
        case length(Int64)
        case chunked
    }

    let request: HTTPRequest
    let body: Body

    /// - Parameter bytes: all lines of the head with their ends, which ``HeadScanner`` has found, the empty one too.
    /// - Throws: ``Refusal`` where they are no request of HTTP/1.1.
    init(parsing bytes: borrowing Span<UInt8>, isSecure: Bool) throws(Refusal) {
        var lines = HeadLines()
        let line = lines.next(in: bytes) ?? 0..<0
        let requestLine = try RequestLine(parsing: bytes, line)
        var fields = try FieldLines(parsing: bytes, &lines)
        body = try fields.body(of: requestLine)
        if requestLine.isOld { fields.adapt() }
        request = HTTPRequest(
            method: requestLine.method, scheme: isSecure ? "https" : "http",
            authority: try fields.authority(of: requestLine), path: requestLine.path, headerFields: fields.fields
        )
    }
}

/// The lines of a head, one after the other.
struct HeadLines {
    private var position = 0

    /// The next line without its end; `nil` for the empty one at the end.
    mutating func next(in bytes: borrowing Span<UInt8>) -> Range<Int>? {
        let start = position
        while position < bytes.count, bytes[position] != .lineFeed { position += 1 }
        position += 1
        let end = position - 2
        return end > start && position <= bytes.count ? start..<end : nil
    }
}

/// The first line (RFC 9112 §3).
struct RequestLine: Equatable {
    private static let longestMethod = 32

    let method: HTTPRequest.Method
    /// With the query.
    let path: String
    /// Of a target in absolute form; it takes the place of `Host` (§3.2.2).
    let authority: String?
    /// Whether the version is HTTP/1.0.
    let isOld: Bool

    init(parsing bytes: borrowing Span<UInt8>, _ line: Range<Int>) throws(Refusal) {
        guard let first = bytes.firstIndex(of: .space, in: line), first > line.lowerBound,
            first - line.lowerBound <= Self.longestMethod,
            let method = HTTPRequest.Method(bytes.text(line.lowerBound..<first))
        else { throw .malformed("it does not begin with a method and one space") }
        guard let second = bytes.firstIndex(of: .space, in: first + 1..<line.upperBound), second > first + 1 else {
            throw .malformed("its first line is not 'METHOD TARGET HTTP/1.1' with one space between each")
        }
        isOld = try Self.isOldVersion(bytes, second + 1..<line.upperBound)
        (path, authority) = try Self.target(bytes, first + 1..<second, of: method)
        self.method = method
    }

    private static func isOldVersion(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) throws(Refusal) -> Bool {
        guard range.count == 8, bytes.equals("HTTP/1.", range.lowerBound..<range.upperBound - 1),
            bytes[range.upperBound - 1].isDigit
        else { throw .malformed("its version is not HTTP/1.1 or HTTP/1.0; HTTP/2 is spoken over TLS alone") }
        // RFC 9110 §2.5: a minor version that is not known is the highest that is.
        return bytes[range.upperBound - 1] == UInt8(ascii: "0")
    }

    private static func target(
        _ bytes: borrowing Span<UInt8>, _ range: Range<Int>, of method: HTTPRequest.Method
    ) throws(Refusal) -> (path: String, authority: String?) {
        for index in range where !bytes[index].isInTarget {
            throw .malformed("its target holds a character that has to be percent-encoded there")
        }
        // Neither an authority nor an asterisk is a path (§3.2.3, §3.2.4): nothing is found there.
        let isWhole = bytes[range.lowerBound] == UInt8(ascii: "/") || method == .connect
        guard !isWhole, !(method == .options && bytes.equals("*", range)) else { return (bytes.text(range), nil) }
        for scheme in ["http://", "https://"] where bytes.begins(with: scheme, range) {
            let start = range.lowerBound + scheme.utf8.count
            var end = start
            while end < range.upperBound, bytes[end] != UInt8(ascii: "/"), bytes[end] != UInt8(ascii: "?") { end += 1 }
            guard end > start, bytes[start] != UInt8(ascii: ":"), bytes.isHost(start..<end) else {
                throw .malformed("its target names no host")
            }
            let rest = bytes.text(end..<range.upperBound)
            return (rest.utf8.first == UInt8(ascii: "/") ? rest : "/" + rest, bytes.text(start..<end))
        }
        throw .malformed("its target does not begin with '/'")
    }
}
