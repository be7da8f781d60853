// One HTTP/1.1 connection, or one HTTP/2 stream: from request parts to requests, and answers back.

import BlobCore
import BlobStorage
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOHTTPTypesHTTP2

/// Hands each request to the API and sends its answer, one after another.
///
/// Reading is on demand: a head when the connection is idle, a body as fast as its route takes it. That is the
/// back-pressure that bounds memory, and it leaves a body unread until the checks that come before it have passed.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    let configuration: ConnectionConfiguration
    private let api: API
    private let server: ServerState
    /// `nil` on an HTTP/2 stream.
    private let requestLine: RequestLineWatch?
    private var state = ConnectionState.idle
    private let deadline = ConnectionDeadline()
    private var isSending = false
    private var context: ChannelHandlerContext?
    /// The other end's address and port, for the log: a closed connection has none.
    private var peer: String?
    /// The codec's context, where a file region can be written: the codec itself takes buffers only. `nil` where the
    /// bytes must pass through TLS or HTTP/2.
    private var regionContext: ChannelHandlerContext?

    init(
        configuration: ConnectionConfiguration, api: API, server: ServerState, requestLine: RequestLineWatch? = nil
    ) {
        self.configuration = configuration
        self.api = api
        self.server = server
        self.requestLine = requestLine
    }

    // MARK: The connection's life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        peer = context.channel.remoteAddress?.peerName
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
            // What a connection that broke has left half sent is an error, too, which nobody waits to hear of.
            if context.channel.isActive,
                let answer = BlobError(parsing: error, inRequestLine: requestLine?.isInRequestLine ?? false)
            {
                refuse(answer, in: context)
            } else {
                context.close(promise: nil)
            }
        case .handling(let exchange):
            exchange.body.finish(throwing: error)
            exchange.keepsAlive = false
        case .discarding(_, keepsAlive: false):
            // What still comes is thrown away, whatever it is: closing now could take the answer with it.
            break
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
        if case .idle = state, requestLine?.hasBegun == true { startHeaderDeadline() }
        readIfWanted()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        readIfWanted()
        context.fireChannelWritabilityChanged()
    }

    private func receive(_ head: HTTPRequest) {
        guard case .idle = state else { return }
        deadline.cancel()
        if head.announcesBody || head.expectsContinue {
            begin(head)
        } else {
            state = .head(head)
            // In HTTP/1.1 the end of a request without a body comes with its head.
            if configuration.isHTTP2 { startHeaderDeadline() }
        }
    }

    private func receive(_ buffer: ByteBuffer) {
        if case .head(let head) = state { begin(head) }
        switch state {
        case .handling(let exchange):
            exchange.bytesIn += Int64(buffer.readableBytes)
            if exchange.body.receive(buffer), let loop = context?.eventLoop { exchange.deliverSoon(on: loop) }
        case .discarding(var budget, let keepsAlive):
            budget.take(buffer.readableBytes)
            state = .discarding(budget, keepsAlive: keepsAlive)
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
        case .discarding(_, let keepsAlive):
            if keepsAlive { becomeIdle() } else { context?.close(promise: nil) }
        case .idle, .closed: break
        }
    }

    private func begin(_ head: HTTPRequest, isComplete: Bool = false) {
        guard let context else { return }
        deadline.cancel()
        let loop = context.eventLoop
        let this = NIOLoopBound(self, eventLoop: loop)
        let chunk = isComplete ? 1 : server.bodies.join()
        if !isComplete { receiveInBuffers(of: chunk) }
        let body = RequestBody(
            length: isComplete ? 0 : head.contentLength, chunkByteCount: chunk, backlog: configuration.backlog
        ) {
            loop.execute { this.value.bodyWanted() }
        }
        if isComplete { body.finish() }
        let request = Request(head: head, body: body, eventLoop: loop)
        let exchange = Exchange(head: head, request: request, peer: peer, isRequestComplete: isComplete)
        state = .handling(exchange)
        // Within the sending of an answer, this is the next request of a pipeline: answered here, a long one would
        // exhaust the stack.
        if isComplete, !isSending, let answer = api.immediateAnswer(to: request) {
            isSending = true
            send(answer, to: exchange)
            isSending = false
            return
        }
        let bound = NIOLoopBound(exchange, eventLoop: loop)
        server.exchanges.began()
        Task(executorPreference: api.executor(for: request)) { [api, server] in
            let answer = await api.answer(to: request)
            if !isComplete { server.bodies.leave() }
            loop.execute {
                this.value.send(answer, to: bound.value)
                server.exchanges.ended()
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

    private func readIfWanted() {
        guard let context, state.wantsBytes(isWritable: context.channel.isWritable) else { return }
        context.read()
    }

    // MARK: Answers

    private func send(_ answer: Response, to exchange: Exchange) {
        guard case .handling(let current) = state, current === exchange, let context else {
            // The connection went away while the route worked.
            api.log.record(exchange.finished(answer, isComplete: false))
            return
        }
        deadline.cancel()
        let sender = sender(in: context)
        var answer = answer
        let body = sender.prepare(&answer)
        let rest = exchange.rest(ofHTTP2: configuration.isHTTP2)
        let keepsAlive = exchange.keepsAlive && rest != .unknown
        writeHead(of: answer, id: exchange.request.id, keepsAlive: keepsAlive, in: context)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let bound = NIOLoopBound(exchange, eventLoop: context.eventLoop)
        sender.send(body).assumeIsolated().whenComplete { [answer] result in
            this.value.finish(answer, to: bound.value, rest: rest, keepsAlive: keepsAlive, result)
        }
        if case .handling(let current) = state, current === exchange { startSendDeadline() }
    }

    private func sender(in context: ChannelHandlerContext) -> ContentSender {
        ContentSender(
            context: context, regionContext: regionContext, fileIO: configuration.fileIO,
            onChunk: configuration.sendsFileRegions ? nil : { [weak self] in self?.startSendDeadline() }
        )
    }

    private func writeHead(of answer: Response, id: String, keepsAlive: Bool, in context: ChannelHandlerContext) {
        var fields = answer.fields
        fields[.requestID] = id
        fields[.date] = server.date.value
        if !keepsAlive && !configuration.isHTTP2 { fields[.connection] = "close" }
        context.write(wrapOutboundOut(.head(HTTPResponse(status: answer.status, headerFields: fields))), promise: nil)
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
        // Something may have gone wrong with the connection while the body was sent.
        let keepsAlive = keepsAlive && exchange.keepsAlive
        if exchange.isRequestComplete {
            state = keepsAlive ? .idle : .closed
            if !keepsAlive { startSendDeadline() }
        } else {
            discard(keepsAlive: keepsAlive)
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
            // RFC 9113 §8.1: the answer stands, and the rest of the request is not needed.
            context.triggerUserOutboundEvent(NIOHTTP2FramePayloadToHTTPEvent.reset(code: .noError), promise: nil)
        } else {
            linger(in: context)
        }
    }

    private func discard(keepsAlive: Bool) {
        state = .discarding(DiscardBudget(), keepsAlive: keepsAlive)
        startDeadline(configuration.timeouts.header) { $0.context?.close(promise: nil) }
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
        let start = ContinuousClock.now
        discard(keepsAlive: false)
        let (answer, id) = (Response(error), newRequestID())
        writeHead(of: answer, id: id, keepsAlive: false, in: context)
        if case .buffer(let buffer) = answer.body { context.write(wrapOutboundOut(.body(buffer)), promise: nil) }
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { result in
            let this = this.value
            let isSent = (try? result.get()) != nil
            this.api.log.record(
                FinishedRequest(answer, to: nil, id: id, peer: this.peer, bytesIn: 0, since: start, isComplete: isSent)
            )
            if let context = this.context { this.linger(in: context) }
        }
        readIfWanted()
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

    /// A client must take 1 KiB of an answer for each second. In the clear the kernel sees to it that it takes
    /// anything.
    private func startSendDeadline() {
        guard !configuration.sendsFileRegions else { return }
        startDeadline(.seconds(Int64(ContentSender.chunkByteCount / 1024))) { $0.context?.close(promise: nil) }
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
