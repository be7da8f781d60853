// The operations of the server: one value for each.

import BlobCore
import BlobStorage
import HTTPServerCore
import HTTPTypes

/// One operation: a method, a path, who may, and a handler.
///
/// Nobody may who was not let in: an endpoint that is open to everybody says so.
public struct Endpoint: Sendable {
    /// Answers whoever asks.
    typealias Open = @Sendable (Request, Captures) async throws -> Response
    /// Answers a caller whose token was checked.
    typealias SignedIn = @Sendable (Request, Captures, Caller) async throws -> Response

    /// Answers whoever asks, without waiting; `nil` where it cannot.
    typealias Immediate = @Sendable (Request, Captures) throws -> Response?

    enum Handler: Sendable {
        case open(Open)
        /// `nil` where any token will do.
        case signedIn(Scope?, SignedIn)
    }

    /// `GET` answers `HEAD`, too (RFC 9110 §9.1).
    let method: HTTPRequest.Method
    let path: PathPattern
    /// The operation's name in the log and the metrics.
    let operation: String
    /// Whether it changes the store, and is refused while that is read-only.
    let isChange: Bool
    let handler: Handler
    /// Asked first.
    private(set) var immediate: Immediate?
    /// Whether it does nothing but wait for others and pass bytes on: on its connection's event loop no thread has to
    /// be woken for that.
    private(set) var runsOnEventLoop = false
    /// What the audit log calls it; `nil` where it keeps no record of it.
    private(set) var event: AuditRecord.Event?

    /// Whether it counts for no rate of requests.
    private(set) var isUnlimited = false

    /// For callers whose token has the scope; any token will do where none is named.
    init(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, for scope: Scope? = nil,
        isChange: Bool = false, _ handler: @escaping SignedIn
    ) {
        self.init(method, path, operation, isChange: isChange, .signedIn(scope, handler))
    }

    /// For everybody.
    static func open(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, _ handler: @escaping Open
    ) -> Endpoint {
        Endpoint(method, path, operation, isChange: false, .open(handler))
    }

    private init(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, isChange: Bool, _ handler: Handler
    ) {
        self.method = method
        self.path = PathPattern(path)
        self.operation = operation
        self.isChange = isChange
        self.handler = handler
    }

    /// The same, recorded in the audit log.
    ///
    /// - Precondition: it asks for a token: nobody else has a name.
    func audited(as event: AuditRecord.Event) -> Endpoint {
        guard case .signedIn = handler else { preconditionFailure("\(operation) asks for no token") }
        var endpoint = self
        endpoint.event = event
        return endpoint
    }

    /// The same, answered on its connection's event loop.
    func onEventLoop() -> Endpoint {
        var endpoint = self
        endpoint.runsOnEventLoop = true
        return endpoint
    }

    /// The same, for whoever watches the server: what watches must not be told that it asks too often.
    func unlimited() -> Endpoint {
        var endpoint = self
        endpoint.isUnlimited = true
        return endpoint
    }

    /// Whether its requests count for the rates of requests. The `HEAD` of an upload, which is an operation of its own,
    /// does not: clients take every error on it for the upload's end.
    var isLimited: Bool { !isUnlimited && method != .head }

    /// The same, with answers that need no waiting.
    ///
    /// - Precondition: it is open to everybody, since asking for a token is waiting.
    func answering(atOnce immediate: @escaping Immediate) -> Endpoint {
        guard case .open = handler else { preconditionFailure("\(operation) asks for a token") }
        var endpoint = self
        endpoint.immediate = immediate
        return endpoint
    }
}
