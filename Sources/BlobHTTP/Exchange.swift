// One request and its answer, while a connection is busy with them.

import BlobCore
import HTTPTypes
import NIOCore
import NIOHTTP1
import Synchronization

/// What a connection knows of the request that it is handling. Belongs to the connection's event loop.
final class Exchange {
    /// What is left of a request's body when its answer is ready.
    enum Rest: Equatable {
        case nothing
        /// So few bytes that reading them costs less than a new connection.
        case little
        case unknown
    }

    let request: Request
    let body: RequestBody
    private let method: HTTPRequest.Method
    private let start = ContinuousClock.now
    var isRequestComplete: Bool
    var keepsAlive: Bool
    /// Whether the client waits to be asked for the body (RFC 9110 §10.1.1).
    var awaitsContinue: Bool
    var bytesIn: Int64 = 0
    var isDeliveryScheduled = false

    private static let littleByteCount: Int64 = 64 * 1024

    init(head: HTTPRequest, request: Request, isRequestComplete: Bool) {
        self.request = request
        body = request.body
        method = head.method
        self.isRequestComplete = isRequestComplete
        keepsAlive = !head.closesConnection
        awaitsContinue = !isRequestComplete && head.expectsContinue
    }

    func rest(ofHTTP2 isHTTP2: Bool) -> Rest {
        if isRequestComplete { return .nothing }
        // Not asked for, the body may come or not: where the next request would begin is unknown.
        guard !isHTTP2, !awaitsContinue, let length = body.length else { return .unknown }
        return length - bytesIn <= Self.littleByteCount ? .little : .unknown
    }

    func finished(_ answer: Response, isComplete: Bool) -> FinishedRequest {
        FinishedRequest(
            method: method, id: request.id, route: answer.route, status: answer.status.code, subject: answer.subject,
            bytesIn: bytesIn, bytesOut: isComplete ? answer.body.size : 0, duration: start.duration(to: .now),
            isComplete: isComplete
        )
    }
}

/// Bytes that are read and thrown away after an early answer.
struct DiscardBudget {
    /// Whether another request may follow.
    let keepsAlive: Bool
    private var left = 16 * 1024 * 1024

    init(keepsAlive: Bool) {
        self.keepsAlive = keepsAlive
    }

    var isSpent: Bool { left <= 0 }

    mutating func take(_ count: Int) {
        left -= count
    }
}

/// What all connections share. Counts the requests that routes are working on, so that a stopping server can wait for
/// them.
final class ExchangeTracker: Sendable {
    private struct State {
        var count = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// What their bodies share.
    let bodies = BodyBudget()
    let date = DateHeader()
    private let state = Mutex(State())

    func began() {
        state.withLock { $0.count += 1 }
    }

    func ended() {
        let waiting = state.withLock { state in
            state.count -= 1
            guard state.count == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Returns when no route is working.
    func idle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.count > 0 { state.waiting.append(continuation) }
                return state.count == 0
            }
            if isIdle { continuation.resume() }
        }
    }
}

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

extension BlobError {
    /// What to answer to bytes that could not be parsed; `nil` for errors that are not the parser's.
    init?(parsing error: any Error, inRequestLine: Bool) {
        switch error {
        case HTTPParserError.headerOverflow where !inRequestLine:
            self.init(.headersTooLarge, "The request's header is larger than this server takes.")
        case HTTPParserError.headerOverflow, is ByteToMessageDecoderError:
            self = .uriTooLong
        case is HTTPParserError:
            self.init(.badRequest, "These bytes are not an HTTP/1.1 request.")
        default: return nil
        }
    }

    static let uriTooLong = BlobError(.uriTooLong, "The request's target is longer than this server takes.")
}
