// One HTTP/1.1 connection, or one HTTP/2 stream: from request parts to requests, and answers back.

import BlobCore
import BlobStorage
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Hands each request to the API and sends its answer, one after another.
///
/// Reading is on demand: a head when the connection is idle, a body as fast as its route takes it. That is the
/// back-pressure that bounds memory, and it leaves a body unread until the checks that come before it have passed.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private enum State {
        /// Between requests.
        case idle
        /// A head without a sign of a body has arrived: the request is handed over when it is complete.
        case head(HTTPRequest)
        /// The API works on the request, or its answer is being sent.
        case handling(Exchange)
        /// The answer was sent before the whole body arrived; what is left of it is thrown away.
        case discarding(DiscardBudget)
        case closed
    }

    let configuration: ConnectionConfiguration
    private let api: API
    private let tracker: ExchangeTracker
    /// `nil` on an HTTP/2 stream.
    private let requestLine: RequestLineWatch?
    private var state = State.idle
    private let deadline = ConnectionDeadline()
    private var isSending = false
    private(set) var context: ChannelHandlerContext?
    /// The codec's context, where a file region can be written: the codec itself takes buffers only. `nil` where the bytes
    /// must pass through TLS or HTTP/2.
    private var regionContext: ChannelHandlerContext?

    init(
        configuration: ConnectionConfiguration, api: API, tracker: ExchangeTracker, requestLine: RequestLineWatch? = nil
    ) {
        self.configuration = configuration
        self.api = api
        self.tracker = tracker
        self.requestLine = requestLine
    }

    // MARK: The connection's life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if configuration.sendsFileRegions {
            regionContext = try? context.pipeline.syncOperations.context(handlerType: HTTP1ToHTTPServerCodec.self)
        }
        if context.channel.isActive { becomeIdle() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline.end()
        self.context = nil
        regionContext = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        becomeIdle()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        connectionEnded(ChannelError.eof)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .idle, .head:
            if let answer = BlobError(parsing: error, inRequestLine: requestLine?.isInRequestLine ?? false) {
                refuse(answer, in: context)
            } else {
                context.close(promise: nil)
            }
        case .handling(let exchange):
            exchange.body.finish(throwing: error)
            exchange.keepsAlive = false
        case .discarding, .closed:
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            switch state {
            case .idle, .head, .discarding: context.close(promise: nil)
            case .handling(let exchange):
                exchange.keepsAlive = false
                if !exchange.isRequestComplete { exchange.body.finish(throwing: ChannelError.inputClosed) }
            case .closed: break
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func connectionEnded(_ error: any Error) {
        deadline.end()
        if case .handling(let exchange) = state, !exchange.isRequestComplete { exchange.body.finish(throwing: error) }
        state = .closed
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): receive(head)
        case .body(let buffer): receive(buffer)
        case .end: receiveEnd()
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Bytes without a head between requests are the beginning of one.
        if case .idle = state { startHeaderDeadline() }
        readIfWanted()
        context.fireChannelReadComplete()
    }

    private func receive(_ head: HTTPRequest) {
        guard case .idle = state else { return }
        deadline.cancel()
        if head.announcesBody { begin(head) } else { state = .head(head) }
    }

    private func receive(_ buffer: ByteBuffer) {
        if case .head(let head) = state { begin(head) }
        switch state {
        case .handling(let exchange):
            exchange.bytesIn += Int64(buffer.readableBytes)
            if exchange.body.receive(buffer) { deliverSoon(exchange) }
        case .discarding(var budget):
            budget.take(buffer.readableBytes)
            state = .discarding(budget)
            if budget.isSpent { context?.close(promise: nil) }
        case .idle, .head, .closed: break
        }
    }

    private func receiveEnd() {
        switch state {
        case .head(let head): begin(head, isComplete: true)
        case .handling(let exchange):
            exchange.isRequestComplete = true
            exchange.body.finish()
            deadline.cancel()
        case .discarding(let budget):
            if budget.keepsAlive { becomeIdle() } else { context?.close(promise: nil) }
        case .idle, .closed: break
        }
    }

    private func begin(_ head: HTTPRequest, isComplete: Bool = false) {
        guard let context else { return }
        let loop = context.eventLoop
        let this = NIOLoopBound(self, eventLoop: loop)
        let chunk = isComplete ? 1 : tracker.bodies.join()
        if !isComplete { receiveInBuffers(of: chunk) }
        let body = RequestBody(length: isComplete ? 0 : head.contentLength, chunkByteCount: chunk) {
            loop.execute { this.value.bodyWanted() }
        }
        if isComplete { body.finish() }
        let exchange = Exchange(head: head, request: Request(head: head, body: body), isRequestComplete: isComplete)
        state = .handling(exchange)
        // Within the sending of an answer, this is the next request of a pipeline: answered here, a long one would
        // exhaust the stack.
        if isComplete, !isSending, let answer = api.immediateAnswer(to: exchange.request) {
            isSending = true
            send(answer, to: exchange)
            isSending = false
            return
        }
        let (api, request) = (api, exchange.request)
        let bound = NIOLoopBound(exchange, eventLoop: loop)
        tracker.began()
        Task { [tracker] in
            let answer = await api.answer(to: request)
            if !isComplete { tracker.bodies.leave() }
            loop.execute {
                this.value.send(answer, to: bound.value)
                tracker.ended()
            }
        }
    }

    // MARK: Reading

    /// Lets receive buffers grow to the size of a chunk: the larger, the fewer system calls per MiB.
    private func receiveInBuffers(of byteCount: Int) {
        guard !configuration.isHTTP2 else { return }
        let allocator = AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 64 * 1024, maximum: byteCount)
        try? context?.channel.syncOptions?.setOption(.recvAllocator, value: allocator)
    }

    private func bodyWanted() {
        guard case .handling(let exchange) = state, !exchange.isRequestComplete else { return }
        if exchange.awaitsContinue {
            exchange.awaitsContinue = false
            context?.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
        }
        startBodyDeadline(for: exchange)
        readIfWanted()
    }

    /// A consumer waits for a chunk that has begun: it gets what came within a moment.
    private func deliverSoon(_ exchange: Exchange) {
        guard !exchange.isDeliveryScheduled, let loop = context?.eventLoop else { return }
        exchange.isDeliveryScheduled = true
        let bound = NIOLoopBound(exchange, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(5)) {
            bound.value.isDeliveryScheduled = false
            bound.value.body.deliver()
        }
    }

    private func readIfWanted() {
        let isWanted =
            switch state {
            case .idle, .head, .discarding: true
            case .handling(let exchange): !exchange.isRequestComplete && exchange.body.wantsMore
            case .closed: false
            }
        if isWanted { context?.read() }
    }

    // MARK: Answers

    private func send(_ answer: Response, to exchange: Exchange) {
        guard case .handling(let current) = state, current === exchange, let context else {
            // The connection went away while the route worked.
            api.log.record(exchange.finished(answer, isComplete: false))
            return
        }
        deadline.cancel()
        let rest = exchange.rest(ofHTTP2: configuration.isHTTP2)
        let keepsAlive = exchange.keepsAlive && rest != .unknown
        var fields = answer.fields
        fields[.requestID] = exchange.request.id
        fields[.date] = tracker.date.value
        if !keepsAlive && !configuration.isHTTP2 { fields[.connection] = "close" }
        context.write(wrapOutboundOut(.head(HTTPResponse(status: answer.status, headerFields: fields))), promise: nil)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let bound = NIOLoopBound(exchange, eventLoop: context.eventLoop)
        sender(in: context).send(answer.body).assumeIsolated().whenComplete { result in
            this.value.finish(answer, to: bound.value, rest: rest, keepsAlive: keepsAlive, result)
        }
    }

    private func sender(in context: ChannelHandlerContext) -> ContentSender {
        ContentSender(context: context, regionContext: regionContext, fileIO: configuration.fileIO)
    }

    /// The body has been written, or could not be.
    private func finish(
        _ answer: Response, to exchange: Exchange, rest: Exchange.Rest, keepsAlive: Bool,
        _ result: Result<Void, any Error>
    ) {
        guard let context, case .handling(let current) = state, current === exchange else {
            api.log.record(exchange.finished(answer, isComplete: false))
            return
        }
        if case .failure = result {
            // What was promised cannot be delivered: the client must not take the rest for the whole.
            api.log.record(exchange.finished(answer, isComplete: false))
            context.close(promise: nil)
            return
        }
        if exchange.isRequestComplete {
            state = keepsAlive ? .idle : .closed
        } else {
            state = .discarding(DiscardBudget(keepsAlive: keepsAlive))
        }
        let isRequestComplete = exchange.isRequestComplete
        // The next pipelined request may arrive within this write: the state is ready for it.
        let ended = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let bound = NIOLoopBound(exchange, eventLoop: context.eventLoop)
        ended.assumeIsolated().whenComplete { result in
            let this = this.value
            this.api.log.record(bound.value.finished(answer, isComplete: (try? result.get()) != nil))
            // Not before: closing throws away what still waits to be sent.
            this.closeIfDue(keepsAlive: keepsAlive, isRequestComplete: isRequestComplete)
        }
        if keepsAlive, case .idle = state { becomeIdle() } else { readIfWanted() }
    }

    private func closeIfDue(keepsAlive: Bool, isRequestComplete: Bool) {
        guard let context, !keepsAlive else { return }
        if isRequestComplete {
            // An HTTP/2 stream that both sides ended is closed already.
            if !configuration.isHTTP2 { context.close(promise: nil) }
        } else if configuration.isHTTP2 {
            context.close(promise: nil)
        } else {
            linger(in: context)
        }
    }

    /// Closing while the client still sends would make its kernel throw the answer away: the answer's end is shown by
    /// closing one direction, and the other is read for a while.
    private func linger(in context: ChannelHandlerContext) {
        if configuration.sendsFileRegions { context.close(mode: .output, promise: nil) }
        startDeadline(.seconds(2)) { $0.context?.close(promise: nil) }
        readIfWanted()
    }

    /// Answers bytes that are no request.
    private func refuse(_ error: BlobError, in context: ChannelHandlerContext) {
        state = .closed
        deadline.cancel()
        var answer = Response(error)
        answer.fields[.connection] = "close"
        answer.fields[.requestID] = String(UInt64.random(in: .min ... .max), radix: 16)
        answer.fields[.date] = tracker.date.value
        context.write(
            wrapOutboundOut(.head(HTTPResponse(status: answer.status, headerFields: answer.fields))), promise: nil
        )
        if case .buffer(let buffer) = answer.body { context.write(wrapOutboundOut(.body(buffer)), promise: nil) }
        let loop = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in loop.value.close(promise: nil) }
    }

    // MARK: Deadlines

    private func becomeIdle() {
        state = .idle
        requestLine?.expectRequest()
        startDeadline(configuration.timeouts.idle) { $0.context?.close(promise: nil) }
        readIfWanted()
    }

    private func startHeaderDeadline() {
        guard !deadline.isForHeaders else { return }
        startDeadline(configuration.timeouts.header, isForHeaders: true) { $0.context?.close(promise: nil) }
    }

    /// A body must bring 1 KiB for each second in which the server waited for it.
    private func startBodyDeadline(for exchange: Exchange) {
        guard !deadline.isRunning else { return }
        let window = configuration.timeouts.body
        let before = exchange.bytesIn
        startDeadline(window) { this in
            guard !exchange.isRequestComplete else { return }
            let least = max(1, 1024 * window.nanoseconds / 1_000_000_000)
            if exchange.body.wantsMore && exchange.bytesIn - before < least {
                exchange.keepsAlive = false
                this.context?.close(promise: nil)
            } else {
                this.startBodyDeadline(for: exchange)
            }
        }
    }

    private func startDeadline(
        _ delay: TimeAmount, isForHeaders: Bool = false, _ action: @escaping (ConnectionHandler) -> Void
    ) {
        guard let loop = context?.eventLoop else { return }
        deadline.start(after: delay, on: loop, isForHeaders: isForHeaders) { [weak self] in
            if let self { action(self) }
        }
    }
}
