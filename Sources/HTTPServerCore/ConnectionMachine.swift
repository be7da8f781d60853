// What happens next on a connection: events in, actions out, no I/O.

import HTTPTypes

/// One HTTP/1.1 connection, or one HTTP/2 stream, from request to request.
///
/// Whoever has it tells it what happened, and does what it says.
struct ConnectionMachine {
    enum Event {
        /// The connection can be read.
        case opened
        /// Bytes have come between requests that are no whole head yet.
        case bytesBegan
        case head(HTTPRequest)
        case body(byteCount: Int)
        case end
        /// Whoever handles the request waits for bytes of its body.
        case bodyWanted
        /// The answer is ready; this many announced bytes of the request's body have not come yet. `nil` where nothing
        /// tells.
        case answered(rest: Int64?)
        /// The answer's body was written, or could not be.
        case sent(succeeded: Bool)
        /// Something is wrong with the bytes that came, or with the connection.
        case failed(Refusal?)
        case inputClosed
        /// The server takes no further requests.
        case stopping
        case closed
    }

    enum Action: Equatable {
        case nothing
        case awaitRequest
        case awaitEndOfHead
        case begin(HTTPRequest, isComplete: Bool)
        /// Begin, with bytes of the body at hand.
        case beginAndTakeIn(HTTPRequest)
        /// The bytes belong to the body of the request that is handled.
        case takeIn
        case endBody
        /// No more of the body will come.
        case failBody
        case askForBody(sendsContinue: Bool)
        case send(keepsAlive: Bool)
        /// Nobody is there any more to take the answer.
        case abandon
        case finish(Ending)
        /// The promised body cannot be delivered: the client must not take a part for the whole.
        case cut
        case refuse(Refusal)
        case close
    }

    /// The next step when an answer has been written whole.
    enum Ending: Equatable {
        /// The next request.
        case keepAlive
        /// The next request, after the little that is left of this one.
        case discard
        case close
        /// The HTTP/2 stream has ended on both sides, and closes itself.
        case closed
        /// The HTTP/2 stream ends, and the rest of the request is not needed.
        case reset
        /// The connection ends, after its client had a chance to read the answer.
        case linger
    }

    private enum State {
        /// Between requests.
        case idle
        /// A head without a sign of a body has arrived: the request is handed over when it is complete.
        case head(HTTPRequest)
        /// The request is worked on, or its answer is being sent.
        case handling(Handling)
        /// The answer was sent before the whole body arrived; the rest of it is thrown away. Then another request
        /// may follow, or the connection ends.
        case discarding(byteCount: Int, keepsAlive: Bool)
        case ended
    }

    private struct Handling {
        var isRequestComplete: Bool
        var keepsAlive: Bool
        /// Whether the client waits to be asked for the body (RFC 9110 §10.1.1).
        var awaitsContinue: Bool
        var isAnswered = false

        init(_ head: HTTPRequest, isRequestComplete: Bool) {
            self.isRequestComplete = isRequestComplete
            // Behind a request that would change the protocol, the decoder reads nothing any more.
            keepsAlive = !head.closesConnection && !head.asksForAnotherProtocol
            awaitsContinue = !isRequestComplete && head.expectsContinue
        }
    }

    /// The most that is read of a body that nobody wants, before the connection is closed.
    static let mostDiscardedBytes = 16 * 1024 * 1024
    /// So few bytes that reading them costs less than a new connection.
    static let littleByteCount: Int64 = 64 * 1024

    private let isHTTP2: Bool
    private var state = State.ended

    init(isHTTP2: Bool) {
        self.isHTTP2 = isHTTP2
    }

    // MARK: State

    var isIdle: Bool { if case .idle = state { true } else { false } }

    /// Whether a request is handled of whose body more may come.
    var isReceivingBody: Bool { if case .handling(let handling) = state { !handling.isRequestComplete } else { false } }

    /// Whether more should be read from the connection.
    func wantsBytes(isWritable: Bool, bodyWantsMore: Bool) -> Bool {
        switch state {
        // A client that takes no answers gets no more of them to pile up here.
        case .idle, .head: isWritable
        case .discarding: true
        case .handling(let handling): !handling.isRequestComplete && bodyWantsMore
        case .ended: false
        }
    }

    // MARK: Events

    mutating func handle(_ event: Event) -> Action {
        switch event {
        case .opened: awaitRequest()
        case .bytesBegan: isIdle ? .awaitEndOfHead : .nothing
        case .head(let head): receive(head)
        case .body(let count): receiveBody(count)
        case .end: receiveEnd()
        case .bodyWanted: askForBody()
        case .answered(let rest): answer(rest: rest)
        case .sent(let succeeded): finish(succeeded: succeeded)
        case .failed(let refusal): fail(refusal)
        case .inputClosed: inputClosed()
        case .stopping: stop()
        case .closed: closed()
        }
    }

    private mutating func awaitRequest() -> Action {
        state = .idle
        return .awaitRequest
    }

    private mutating func receive(_ head: HTTPRequest) -> Action {
        guard case .idle = state else { return .nothing }
        // HTTP/1.1 announces every body; a client of HTTP/2 may wait to be asked for one that it has not announced.
        if head.announcesBody || isHTTP2 && head.expectsContinue { return begin(head, isComplete: false) }
        state = .head(head)
        // In HTTP/1.1 the end of a request without a body comes with its head.
        return isHTTP2 ? .awaitEndOfHead : .nothing
    }

    private mutating func begin(_ head: HTTPRequest, isComplete: Bool) -> Action {
        state = .handling(Handling(head, isRequestComplete: isComplete))
        return .begin(head, isComplete: isComplete)
    }

    private mutating func receiveBody(_ count: Int) -> Action {
        switch state {
        case .head(let head):
            state = .handling(Handling(head, isRequestComplete: false))
            return .beginAndTakeIn(head)
        case .handling(var handling):
            // Who sends it does not wait to be asked.
            handling.awaitsContinue = false
            state = .handling(handling)
            return .takeIn
        case .discarding(let left, let keepsAlive):
            guard count < left else { return close() }
            state = .discarding(byteCount: left - count, keepsAlive: keepsAlive)
            return .nothing
        case .idle, .ended: return .nothing
        }
    }

    private mutating func receiveEnd() -> Action {
        switch state {
        case .head(let head): return begin(head, isComplete: true)
        case .handling(var handling):
            handling.isRequestComplete = true
            state = .handling(handling)
            return .endBody
        case .discarding(_, let keepsAlive): return keepsAlive ? awaitRequest() : close()
        case .idle, .ended: return .nothing
        }
    }

    private mutating func askForBody() -> Action {
        guard case .handling(var handling) = state, !handling.isRequestComplete else { return .nothing }
        defer {
            handling.awaitsContinue = false
            state = .handling(handling)
        }
        return .askForBody(sendsContinue: handling.awaitsContinue)
    }

    private mutating func answer(rest: Int64?) -> Action {
        guard case .handling(var handling) = state, !handling.isAnswered else { return .abandon }
        handling.isAnswered = true
        if !handling.isRequestComplete {
            // Not asked for, the body may come or not: where the next request would begin is unknown.
            let isLittle = rest.map { $0 <= Self.littleByteCount } ?? false
            if isHTTP2 || handling.awaitsContinue || !isLittle { handling.keepsAlive = false }
        }
        state = .handling(handling)
        return .send(keepsAlive: handling.keepsAlive)
    }

    private mutating func finish(succeeded: Bool) -> Action {
        guard case .handling(let handling) = state else { return .abandon }
        guard succeeded else {
            state = .ended
            return .cut
        }
        switch (handling.isRequestComplete, handling.keepsAlive) {
        case (true, true):
            state = .idle
            return .finish(.keepAlive)
        case (true, false):
            state = .ended
            return .finish(isHTTP2 ? .closed : .close)
        case (false, let keepsAlive):
            state = .discarding(byteCount: Self.mostDiscardedBytes, keepsAlive: keepsAlive)
            return .finish(keepsAlive ? .discard : isHTTP2 ? .reset : .linger)
        }
    }

    private mutating func fail(_ refusal: Refusal?) -> Action {
        switch state {
        case .idle, .head:
            guard let refusal else { return close() }
            state = .discarding(byteCount: Self.mostDiscardedBytes, keepsAlive: false)
            return .refuse(refusal)
        case .handling(var handling):
            handling.keepsAlive = false
            state = .handling(handling)
            return .failBody
        // Bytes that still come are thrown away, whatever they are: closing now could take the answer with it.
        case .discarding(_, keepsAlive: false): return .nothing
        case .discarding, .ended: return close()
        }
    }

    private mutating func inputClosed() -> Action {
        switch state {
        case .idle, .head, .discarding: return close()
        case .handling(var handling):
            handling.keepsAlive = false
            state = .handling(handling)
            return handling.isRequestComplete ? .nothing : .failBody
        case .ended: return .nothing
        }
    }

    private mutating func stop() -> Action {
        switch state {
        case .idle, .head: return close()
        case .handling(var handling):
            handling.keepsAlive = false
            state = .handling(handling)
        case .discarding(let byteCount, _): state = .discarding(byteCount: byteCount, keepsAlive: false)
        case .ended: break
        }
        return .nothing
    }

    private mutating func closed() -> Action {
        defer { state = .ended }
        return isReceivingBody ? .failBody : .nothing
    }

    private mutating func close() -> Action {
        state = .ended
        return .close
    }
}
