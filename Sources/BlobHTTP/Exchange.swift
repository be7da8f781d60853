// One request and its answer, while a connection is busy with them.

import HTTPTypes
import NIOCore

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
    private let peer: String?
    private let start = ContinuousClock.now
    var isRequestComplete: Bool
    var keepsAlive: Bool
    /// Whether the client waits to be asked for the body (RFC 9110 §10.1.1).
    var awaitsContinue: Bool
    var bytesIn: Int64 = 0
    private var isDeliveryScheduled = false

    private static let littleByteCount: Int64 = 64 * 1024

    init(head: HTTPRequest, request: Request, peer: String?, isRequestComplete: Bool) {
        self.request = request
        body = request.body
        self.peer = peer
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

    /// A consumer waits for a chunk that has begun: it gets what came within a moment.
    func deliverSoon(on loop: any EventLoop) {
        guard !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        let this = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(5)) {
            this.value.isDeliveryScheduled = false
            this.value.body.deliver()
        }
    }

    func finished(_ answer: Response, isComplete: Bool) -> FinishedRequest {
        FinishedRequest(
            answer, to: request, id: request.id, peer: peer, bytesIn: bytesIn, since: start, isComplete: isComplete
        )
    }
}
