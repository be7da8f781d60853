// A request as the routes see it.

import BlobCore
import HTTPTypes
import NIOCore

/// A request: its head, taken apart, and its body, still arriving.
struct Request: Sendable {
    let method: HTTPRequest.Method
    /// The path as it came, percent-encoded, without the query.
    let path: Substring
    let query: Query
    let fields: HTTPFields
    /// Names the request in the log and in the answer.
    let id: String
    let body: RequestBody
    /// Of the connection.
    let eventLoop: (any EventLoop)?

    init(head: HTTPRequest, body: RequestBody, eventLoop: (any EventLoop)? = nil) {
        method = head.method
        let target = head.path ?? ""
        let mark = target.firstIndex(of: "?")
        path = target[..<(mark ?? target.endIndex)]
        query = Query(mark.map { target[target.index(after: $0)...] } ?? "")
        fields = head.headerFields
        id = Self.requestID(fields[.requestID])
        self.body = body
        self.eventLoop = eventLoop
    }

    /// The client's own name for the request if it is sane, so that its log and the server's can be read together.
    private static func requestID(_ given: String?) -> String {
        if let given, (1...128).contains(given.utf8.count), given.utf8.allSatisfy(isSane) { return given }
        return newRequestID()
    }

    private static func isSane(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

/// A name for a request that brought none.
func newRequestID() -> String { String(UInt64.random(in: .min ... .max), radix: 16) }

extension HTTPRequest {
    /// The announced length in bytes. One that does not fit is longer than any blob, whatever it is.
    var contentLength: Int64? { headerFields[.contentLength].map { decimal($0) ?? .max } }

    /// Whether a body is sure to follow.
    var announcesBody: Bool {
        if let length = headerFields[.contentLength] { return length != "0" }
        return headerFields[.transferEncoding] != nil
    }

    var expectsContinue: Bool { headerFields[.expect]?.lowercased() == "100-continue" }

    var closesConnection: Bool {
        guard let value = headerFields[.connection] else { return false }
        return value.split(separator: ",").contains { $0.filter { $0 != " " }.lowercased() == "close" }
    }
}

extension HTTPField.Name {
    static let requestID = name("X-Request-ID")
    static let uploadID = name("PortSIP-Upload-ID")
    static let uploadToken = name("PortSIP-Upload-Token")
    static let uploadOffset = name("Upload-Offset")
    static let uploadExpires = name("Upload-Expires")
    static let reprDigest = name("Repr-Digest")
    static let crossOriginResourcePolicy = name("Cross-Origin-Resource-Policy")

    private static func name(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is a field name") }
        return name
    }
}
