// The field lines of a head or of a trailer section, and what they say of the message's framing.

import BlobCore
import HTTPTypes

/// Fields as they came (RFC 9112 §5), but for `Host`.
struct FieldLines: Equatable {
    private(set) var fields = HTTPFields()
    private var hosts = 0
    private var host: String?

    /// - Parameter lines: those that are left after the first line of a head.
    init(parsing bytes: borrowing Span<UInt8>, _ lines: inout HeadLines) throws(Refusal) {
        while let line = lines.next(in: bytes) { try add(bytes, line) }
    }

    private mutating func add(_ bytes: borrowing Span<UInt8>, _ line: Range<Int>) throws(Refusal) {
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":"), in: line),
            let name = HTTPField.Name(bytes.text(line.lowerBound..<colon))
        else { throw .malformed("a header line is not 'Name: value'") }
        let value = bytes.trimmed(colon + 1..<line.upperBound)
        for index in value where !bytes[index].isInFieldValue {
            throw .malformed("the header '\(name.rawName)' holds a control character")
        }
        guard name == .host else { return fields.append(HTTPField(name: name, value: bytes.text(value))) }
        guard bytes.isHost(value) else { throw .malformed("the header 'Host' is not HOST or HOST:PORT") }
        (hosts, host) = (hosts + 1, bytes.text(value))
    }

    /// The host that is asked (RFC 9112 §3.2).
    func authority(of line: RequestLine) throws(Refusal) -> String? {
        guard hosts == 1 || line.isOld && hosts == 0 else {
            throw .malformed("it has \(hosts) 'Host' headers instead of one")
        }
        return line.authority ?? host
    }

    // MARK: Framing

    /// Where the body ends (RFC 9112 §6.3).
    func body(of line: RequestLine) throws(Refusal) -> RequestHead.Body {
        guard fields.contains(.transferEncoding) else { return try announcedLength() }
        guard !line.isOld else { throw .malformed("HTTP/1.0 has no 'Transfer-Encoding'") }
        guard !fields.contains(.contentLength) else {
            throw .malformed("it has both 'Content-Length' and 'Transfer-Encoding'")
        }
        var (others, chunked, endsChunked) = (0, 0, false)
        for value in fields[values: .transferEncoding] {
            let bytes = value.utf8.span
            var members = ListMembers()
            while let member = members.next(in: bytes) {
                endsChunked = bytes.equals("chunked", member)
                if endsChunked { chunked += 1 } else { others += 1 }
                guard endsChunked || Self.isOtherCoding(bytes, member) else { throw .unknownTransferCoding }
            }
        }
        guard endsChunked, chunked == 1 else {
            throw .malformed("its 'Transfer-Encoding' does not end with one 'chunked'")
        }
        guard others == 0 else { throw .unknownTransferCoding }
        return .chunked
    }

    /// Whether it has a name of its own (RFC 9112 §7).
    private static func isOtherCoding(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Bool {
        for coding in ["gzip", "x-gzip", "deflate", "compress", "x-compress"] where bytes.equals(coding, range) {
            return true
        }
        return false
    }

    private func announcedLength() throws(Refusal) -> RequestHead.Body {
        let lengths = fields[fields: .contentLength]
        guard let text = lengths.first?.value else { return .none }
        guard lengths.count == 1, !text.isEmpty, text.utf8.span.areDigits(0..<text.utf8.count) else {
            throw .malformed("its 'Content-Length' is not one number")
        }
        let length = Int64(decimal: text) ?? .max
        return length == 0 ? .none : .length(length)
    }

    // MARK: HTTP/1.0

    /// Says of a request of HTTP/1.0 in the words of HTTP/1.1 what its version means.
    mutating func adapt() {
        // RFC 9112 §9.3: the connection ends after the answer unless it is asked to stay.
        if !fields[values: .connection].contains(where: { $0.hasListMember("keep-alive") }) {
            fields[.connection] = "close"
        }
        // RFC 9110 §10.1.1: this expectation does not exist yet.
        fields[.expect] = nil
    }
}

extension HTTPField.Name {
    static let host: HTTPField.Name = {
        guard let name = HTTPField.Name("Host") else { preconditionFailure("Host is a field name") }
        return name
    }()
}

extension String {
    /// Whether a word, in lower case, is a member of a comma-separated list (RFC 9110 §5.6.1).
    func hasListMember(_ word: String) -> Bool {
        let bytes = utf8.span
        var members = ListMembers()
        while let member = members.next(in: bytes) {
            if bytes.equals(word, member) { return true }
        }
        return false
    }
}
