// One HTTP/1.1 connection, or one HTTP/2 stream: from request parts to requests, and answers back.

import HTTPTypes
import NIOCore
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP2

/// Does what a ``ConnectionMachine`` says: hands each request to the responder and sends its answer, one after another.
///
/// Reading is on demand: a head when the connection is idle, a body as fast as it is taken. That is the back-pressure
/// that bounds memory, and it leaves a body unread until the checks that come before it have passed.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private let configuration: ConnectionConfiguration
    private let responder: any Responder
    private let server: ServerState
    /// `nil` on an HTTP/2 stream.
    private let codec: HTTP1Codec?
    private var machine: ConnectionMachine
    /// The request that is handled.
    private var exchange: Exchange?
    private let deadline = ConnectionDeadline()
    private var isSending = false
    private var context: ChannelHandlerContext?
    /// The codec's context, where a file region can be written: the codec itself takes buffers only. `nil` where the
    /// bytes must pass through TLS or HTTP/2.
    private var regionContext: ChannelHandlerContext?

    init(
        configuration: ConnectionConfiguration, responder: any Responder, server: ServerState,
        codec: HTTP1Codec? = nil
    ) {
        self.configuration = configuration
        self.responder = responder
        self.server = server
        self.codec = codec
        machine = ConnectionMachine(isHTTP2: configuration.isHTTP2)
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if configuration.sendsFileRegions {
            regionContext = try? context.pipeline.syncOperations.context(handlerType: HTTP1Codec.self)
        }
        if context.channel.isActive { handle(.opened) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline.end()
        self.context = nil
        regionContext = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        handle(.opened)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline.end()
        handle(.closed, ChannelError.eof)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        handle(.failed(error as? Refusal), error)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed: handle(.inputClosed, ChannelError.inputClosed)
        case is ChannelShouldQuiesceEvent: handle(.stopping)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            if configuration.isHTTP2, let fault = head.faultOfStream { return handle(.failed(fault), fault) }
            handle(.head(head))
        case .body(let buffer): receive(buffer)
        case .end: handle(.end)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        readIfWanted()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        readIfWanted()
        context.fireChannelWritabilityChanged()
    }

    // MARK: Actions

    /// - Parameter error: what a body that ends here ends with.
    private func handle(_ event: ConnectionMachine.Event, _ error: any Error = ChannelError.eof) {
        switch machine.handle(event) {
        case .awaitRequest: awaitRequest()
        case .awaitEndOfHead: startHeaderDeadline()
        case .begin(let head, let isComplete): beginInTurn(head, isComplete: isComplete)
        case .endBody:
            exchange?.body.finish()
            deadline.cancel()
        case .failBody: exchange?.body.finish(throwing: error)
        case .askForBody(let sendsContinue): askForBody(sendsContinue: sendsContinue)
        case .refuse(let refusal): refuse(refusal)
        case .close: context?.close(promise: nil)
        case .nothing: break
        case .beginAndTakeIn, .takeIn, .send, .abandon, .finish, .cut:
            preconditionFailure("\(event) is handled where its bytes or its answer are")
        }
    }

    private func receive(_ buffer: ByteBuffer) {
        switch machine.handle(.body(byteCount: buffer.readableBytes)) {
        case .beginAndTakeIn(let head):
            begin(head, isComplete: false)
            takeIn(buffer)
        case .takeIn: takeIn(buffer)
        case .close: context?.close(promise: nil)
        default: break
        }
    }

    private func takeIn(_ buffer: ByteBuffer) {
        guard let exchange else { return }
        exchange.bytesIn += Int64(buffer.readableBytes)
        if exchange.body.receive(buffer), let loop = context?.eventLoop { exchange.deliverSoon(on: loop) }
    }

    private func awaitRequest() {
        exchange = nil
        startDeadline(configuration.timeouts.idle) { $0.context?.close(promise: nil) }
        readIfWanted()
    }

    /// A stream's request waits while the answers of its connection are not taken; one with a body does not, which must
    /// be there for the body's bytes.
    private func beginInTurn(_ head: HTTPRequest, isComplete: Bool) {
        guard isComplete, let connection = configuration.stream?.connection.value else {
            return begin(head, isComplete: isComplete)
        }
        connection.whenThereIsRoom { [weak self] in self?.begin(head, isComplete: true) }
    }

    private func begin(_ head: HTTPRequest, isComplete: Bool) {
        guard let context else { return }
        deadline.cancel()
        let loop = context.eventLoop
        let this = NIOLoopBound(self, eventLoop: loop)
        let chunk = isComplete ? 1 : server.bodies.join()
        if !isComplete { receiveInBuffers(of: chunk) }
        let body = RequestBody(
            length: isComplete ? 0 : head.contentLength, chunkByteCount: chunk, backlog: configuration.stream?.backlog
        ) {
            loop.execute { this.value.handle(.bodyWanted) }
        }
        if isComplete { body.finish() }
        let request = Request(
            head: head, body: body, peer: configuration.peer, proxies: configuration.proxies,
            isSecure: configuration.isSecure, eventLoop: loop
        )
        let exchange = Exchange(request)
        self.exchange = exchange
        configuration.connection.requestBegan()
        switch responder.answer(to: request) {
        case .now(let answer):
            if !isComplete { server.bodies.leave() }
            sendAtOnce(answer, to: exchange, on: loop)
        case .later(let executor, let makeAnswer):
            let bound = NIOLoopBound(exchange, eventLoop: loop)
            server.exchanges.began()
            Task(executorPreference: executor) { [server] in
                let answer = await makeAnswer()
                if !isComplete { server.bodies.leave() }
                loop.execute {
                    this.value.send(answer, to: bound.value)
                    server.exchanges.ended()
                }
            }
        }
    }

    private func sendAtOnce(_ answer: Response, to exchange: Exchange, on loop: any EventLoop) {
        guard !isSending else {
            // The next request of a pipeline, within the sending of an answer: a long one would exhaust the stack.
            let (this, bound) = (NIOLoopBound(self, eventLoop: loop), NIOLoopBound(exchange, eventLoop: loop))
            return loop.execute { this.value.sendAtOnce(answer, to: bound.value, on: loop) }
        }
        isSending = true
        send(answer, to: exchange)
        isSending = false
    }

    // MARK: Reading

    /// Lets receive buffers grow to the size of a chunk: the larger, the fewer system calls per MiB.
    private func receiveInBuffers(of byteCount: Int) {
        guard !configuration.isHTTP2 else { return }
        let allocator = AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 64 * 1024, maximum: byteCount)
        try? context?.channel.syncOptions?.setOption(.recvAllocator, value: allocator)
    }

    private func askForBody(sendsContinue: Bool) {
        if sendsContinue {
            context?.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
        }
        if let exchange { startBodyDeadline(for: exchange) }
        readIfWanted()
    }

    private func readIfWanted() {
        guard let context,
            machine.wantsBytes(
                isWritable: context.channel.isWritable, bodyWantsMore: exchange?.body.wantsMore ?? false)
        else { return }
        context.read()
        if codec?.hasBegun == true { handle(.bytesBegan) }
    }

    // MARK: Answers

    private func send(_ answer: Response, to exchange: Exchange) {
        guard let context, exchange === self.exchange,
            case .send(let keepsAlive) = machine.handle(.answered(rest: exchange.rest))
        else {
            // The connection went away while the answer was made.
            return end(exchange, answer, isComplete: false)
        }
        deadline.cancel()
        writeHead(of: answer, keepsAlive: keepsAlive, in: context)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let bound = NIOLoopBound(exchange, eventLoop: context.eventLoop)
        sender(in: context).send(answer.body).assumeIsolated().whenComplete { result in
            this.value.finish(answer, to: bound.value, result)
        }
        if exchange === self.exchange, !machine.isIdle { startSendDeadline() }
    }

    private func sender(in context: ChannelHandlerContext) -> BodySender {
        BodySender(
            context: context, regionContext: regionContext, threads: configuration.threads,
            budget: configuration.answers, isStream: configuration.isHTTP2,
            onProgress: { [weak self] in self?.startSendDeadline() }
        )
    }

    private func writeHead(of answer: Response, keepsAlive: Bool, in context: ChannelHandlerContext) {
        var fields = answer.fields
        if !keepsAlive && !configuration.isHTTP2 { fields[.connection] = "close" }
        context.write(wrapOutboundOut(.head(HTTPResponse(status: answer.status, headerFields: fields))), promise: nil)
    }

    /// The body has been written, or could not be.
    private func finish(_ answer: Response, to exchange: Exchange, _ result: Result<Void, any Error>) {
        let succeeded = if case .success = result { true } else { false }
        guard let context, exchange === self.exchange,
            case .finish(let ending) = machine.handle(.sent(succeeded: succeeded))
        else {
            end(exchange, answer, isComplete: false)
            if exchange === self.exchange { context?.close(promise: nil) }
            return
        }
        switch ending {
        case .close, .closed: startSendDeadline()
        case .discard, .reset, .linger:
            startDeadline(configuration.timeouts.header) { $0.context?.close(promise: nil) }
        case .keepAlive: break
        }
        // The next pipelined request may arrive within this write: the machine is ready for it.
        let ended = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let bound = NIOLoopBound(exchange, eventLoop: context.eventLoop)
        ended.assumeIsolated().whenComplete { result in
            let isComplete = if case .success = result { true } else { false }
            this.value.end(bound.value, answer, isComplete: isComplete)
            // Not before: closing throws away bytes that still wait to be sent.
            this.value.end(ending)
        }
        if machine.isIdle { awaitRequest() } else { readIfWanted() }
    }

    private func end(_ exchange: Exchange, _ answer: Response, isComplete: Bool) {
        configuration.connection.requestEnded()
        responder.ended(exchange.ended(answer, isComplete: isComplete))
    }

    private func end(_ ending: ConnectionMachine.Ending) {
        guard let context else { return }
        switch ending {
        case .keepAlive, .discard, .closed: break
        case .close: context.close(promise: nil)
        // RFC 9113 §8.1: the answer stands, and the rest of the request is not needed.
        case .reset:
            context.triggerUserOutboundEvent(NIOHTTP2FramePayloadToHTTPEvent.reset(code: .noError), promise: nil)
        case .linger: linger(in: context)
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
    private func refuse(_ refusal: Refusal) {
        guard let context else { return }
        startDeadline(configuration.timeouts.header) { $0.context?.close(promise: nil) }
        let record = RequestRecord(id: newRequestID(), method: nil, path: "", peer: configuration.peer)
        let answer = responder.answer(to: refusal, record)
        writeHead(of: answer, keepsAlive: false, in: context)
        if case .buffer(let buffer) = answer.body { context.write(wrapOutboundOut(.body(buffer)), promise: nil) }
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { result in
            let this = this.value
            let isComplete = if case .success = result { true } else { false }
            this.responder.ended(EndedRequest(record, answer, bytesIn: 0, isComplete: isComplete))
            if let context = this.context { this.linger(in: context) }
        }
        readIfWanted()
    }

    // MARK: Deadlines

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
            guard exchange === this.exchange, this.machine.isReceivingBody else { return }
            let least = max(1, 1024 * window.nanoseconds / 1_000_000_000)
            if exchange.body.wantsMore && exchange.bytesIn - before < least {
                this.context?.close(promise: nil)
            } else {
                this.startBodyDeadline(for: exchange)
            }
        }
    }

    /// The time until a client has taken another piece of its answer. That a connection takes anything at all, the
    /// kernel sees to; in the clear, that is enough. Through TLS, where an answer holds memory, a whole chunk has to be
    /// taken at 1 KiB for each second, and a stream of HTTP/2, whose window its client may leave closed, must take a
    /// frame.
    private func startSendDeadline() {
        guard !configuration.sendsFileRegions else { return }
        let rate = configuration.isHTTP2 ? TimeAmount.zero : .seconds(Int64(AnswerBudget.largestChunk / 1024))
        startDeadline(max(configuration.timeouts.send, rate)) { $0.context?.close(promise: nil) }
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
