// The record of each request, for the log and the metrics.

public import HTTPTypes
public import Logging
import NIOCore
import Synchronization

/// The other end of a connection; where a trusted proxy said for whom it opened that, the one that it named.
public struct Peer: Sendable {
    public let address: IPAddress
    /// The address and port as URLs write them.
    public let text: String

    init(_ address: IPAddress, port: Int) {
        self.address = address
        text = address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }

    /// `nil` for a socket of the file system.
    init?(_ address: SocketAddress) {
        guard let ip = IPAddress(address), let port = address.port else { return nil }
        self.init(ip, port: port)
    }
}

/// The facts about a request that the log and the metrics tell, noted by whoever learns of them.
public final class RequestRecord: Sendable {
    /// What the request failed for.
    public struct Failure: Sendable {
        /// As the client was told.
        public let code: String
        public let message: String
        /// Whether it is the server's own, which an operator has to know of.
        public let isServers: Bool

        public init(code: String, message: String, isServers: Bool) {
            (self.code, self.message, self.isServers) = (code, message, isServers)
        }
    }

    fileprivate struct Notes {
        var operation: String?
        var metadata: Logger.Metadata = [:]
        var failure: Failure?
    }

    /// Names the request in the log and in the answer.
    public let id: String
    /// `nil` for bytes that are no request.
    public let method: HTTPRequest.Method?
    /// Percent-encoded, without the query.
    public let path: Substring
    public let peer: Peer?
    /// The client's address: the peer's, unless trusted proxies named another.
    public let client: IPAddress?
    let start = ContinuousClock.now
    private let notes = Mutex(Notes())

    init(id: String, method: HTTPRequest.Method?, path: Substring, peer: Peer?, client: IPAddress? = nil) {
        (self.id, self.method, self.path, self.peer) = (id, method, path, peer)
        self.client = client ?? peer?.address
    }

    /// The operation that was asked for; `nil` until that is known.
    public var operation: String? {
        get { notes.withLock { $0.operation } }
        set { notes.withLock { $0.operation = newValue } }
    }

    public var failure: Failure? {
        get { notes.withLock { $0.failure } }
        set { notes.withLock { $0.failure = newValue } }
    }

    /// What else is known, for the log.
    public var metadata: Logger.Metadata { notes.withLock { $0.metadata } }

    public func note(_ name: String, _ value: String) {
        notes.withLock { $0.metadata[name] = .string(value) }
    }

    public func note(_ name: String, _ value: Int64) {
        notes.withLock { $0.metadata[name] = .stringConvertible(value) }
    }
}

/// A request that is over.
public struct EndedRequest: Sendable {
    public let record: RequestRecord
    public let status: HTTPResponse.Status
    /// Bytes of the request's body that came.
    public let bytesIn: Int64
    /// Bytes of the answer's body that went out; 0 where not all did.
    public let bytesOut: Int64
    public let duration: Duration
    /// Whether the whole answer went out.
    public let isComplete: Bool

    init(_ record: RequestRecord, _ answer: Response, bytesIn: Int64, isComplete: Bool) {
        self.record = record
        status = answer.status
        self.bytesIn = bytesIn
        bytesOut = isComplete ? answer.body.size : 0
        duration = record.start.duration(to: .now)
        self.isComplete = isComplete
    }
}
