// A request as endpoints see it.

import BlobCore
public import HTTPTypes
public import NIOCore
import Synchronization

/// A request: its head, taken apart, and its body, still arriving.
public struct Request: Sendable {
    public let method: HTTPRequest.Method
    /// The path as it came, percent-encoded, without the query.
    public let path: Substring
    /// What follows the question mark, as it came.
    public let queryText: Substring
    public let fields: HTTPFields
    public let body: RequestBody
    /// Where it came from; `nil` where the connection does not know.
    public let peer: Peer?
    /// Whether trusted proxies named two clients, of which nobody knows the right one.
    public let namesTwoClients: Bool
    /// Whether it came over TLS.
    public let isSecure: Bool
    /// For the log and the metrics.
    public let record: RequestRecord
    /// Of the connection.
    public let eventLoop: (any EventLoop)?

    /// - Parameter proxies: whose word on the client counts, where the peer is one of them.
    init(
        head: HTTPRequest, body: RequestBody, peer: Peer? = nil, proxies: TrustedProxies? = nil, isSecure: Bool = false,
        eventLoop: (any EventLoop)? = nil
    ) {
        method = head.method
        let target = head.path ?? ""
        // By bytes: characters would have to be found first.
        let mark = target.utf8.firstIndex(of: UInt8(ascii: "?"))
        path = target[..<(mark ?? target.endIndex)]
        queryText = mark.map { target[target.utf8.index(after: $0)...] } ?? ""
        fields = head.headerFields
        self.body = body
        self.peer = peer
        self.isSecure = isSecure
        var client: IPAddress?
        if let proxies, let peer {
            client = try? proxies.client(of: fields, through: peer.address)
            namesTwoClients = client == nil
        } else {
            namesTwoClients = false
        }
        record = RequestRecord(id: Self.id(fields[.requestID]), method: method, path: path, peer: peer, client: client)
        self.eventLoop = eventLoop
    }

    /// The client's own name for the request if it is sane, so that its log and the server's can be read together.
    private static func id(_ given: String?) -> String {
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

/// A name for a request that brought none. Nobody else's, and no secret.
func newRequestID() -> String { String(requestNumbers.next(), radix: 16) }

private let requestNumbers = RequestNumbers()

/// Numbers that look random and never come twice: SplitMix64, begun anywhere. Asking the system for each would be a
/// system call.
private final class RequestNumbers: Sendable {
    private let state = Atomic(UInt64.random(in: .min ... .max))

    func next() -> UInt64 {
        var number = state.wrappingAdd(0x9e37_79b9_7f4a_7c15, ordering: .relaxed).newValue
        number = (number ^ number >> 30) &* 0xbf58_476d_1ce4_e5b9
        number = (number ^ number >> 27) &* 0x94d0_49bb_1331_11eb
        return number ^ number >> 31
    }
}

extension HTTPRequest {
    /// The announced length in bytes. One that does not fit is longer than any blob, whatever it is.
    var contentLength: Int64? {
        headerFields[.contentLength].map { Int64(decimal: $0) ?? .max }
    }

    /// Whether a body is sure to follow.
    var announcesBody: Bool {
        if let length = headerFields[.contentLength] { return length != "0" }
        return headerFields[.transferEncoding] != nil
    }

    var expectsContinue: Bool { headerFields[.expect]?.isWord("100-continue") ?? false }

    var closesConnection: Bool { hasConnectionOption("close") }

    /// Whether what follows it may be no HTTP/1.1 (RFC 9110 §7.8 and §9.3.6). This server speaks nothing else: the
    /// connection ends with its answer.
    var asksForAnotherProtocol: Bool {
        method == .connect || headerFields[.upgrade] != nil && hasConnectionOption("upgrade")
    }

    private func hasConnectionOption(_ option: String) -> Bool {
        headerFields[.connection]?.hasListMember(option) ?? false
    }
}

extension HTTPField.Name {
    public static let requestID: HTTPField.Name = {
        guard let name = HTTPField.Name("X-Request-ID") else { preconditionFailure("X-Request-ID is a field name") }
        return name
    }()
}
