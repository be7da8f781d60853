// The part of an HTTP/2 connection that is about the connection, not about its streams.

import NIOCore
import NIOHTTP2

/// Counts an HTTP/2 connection's streams, lets their requests wait while its answers are not taken, and ends the
/// connection when it idles or the server stops.
final class HTTP2Connection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private static let timeToReadGoAway = TimeAmount.milliseconds(250)

    private let idleTimeout: TimeAmount
    private let answers: AnswerBudget
    private let gate: HTTP2Gate
    private var streams = 0
    private var waiting = CircularBuffer<() -> Void>()
    private var isStopping = false
    /// The client has made an error after which nothing that it sends could be understood.
    private var isGivenUp = false
    /// Ends the connection: it idles, or has been given up.
    private var end: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(idleTimeout: TimeAmount, answers: AnswerBudget, gate: HTTP2Gate) {
        (self.idleTimeout, self.answers, self.gate) = (idleTimeout, answers, gate)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // With the first bytes of the server, not as the answer to the client's first DATA: that is a round trip.
        let payload = HTTP2Frame.FramePayload.windowUpdate(windowSizeIncrement: HTTP2Windows.connectionIncrement)
        context.writeAndFlush(wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: payload)), promise: nil)
        startIdling()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end?.cancel()
        self.context = nil
    }

    /// Takes note of a new stream, on the connection's event loop.
    func opened(_ stream: any Channel) {
        streams += 1
        if !isGivenUp { end?.cancel() }
        stream.closeFuture.assumeIsolated().whenComplete { _ in self.streamClosed() }
    }

    /// Begins a request when there is room for its answer. One whose stream has ended by then has to notice.
    func whenThereIsRoom(_ begin: @escaping () -> Void) {
        if waiting.isEmpty, answers.hasRoom { begin() } else { waiting.append(begin) }
    }

    private func streamClosed() {
        streams -= 1
        while answers.hasRoom, let begin = waiting.popFirst() { begin() }
        guard streams == 0 else { return }
        if isStopping { context?.close(promise: nil) } else { startIdling() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            isStopping = true
            sayGoodbye(in: context)
            if streams == 0 { context.close(promise: nil) }
        case ChannelEvent.inputClosed:
            // Who sends nothing any more cannot open the windows for its answers either.
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // That of a stream ends the stream alone, and errors do not say which they are.
        guard gate.hasGivenUp else { return context.fireErrorCaught(error) }
        // The client has its GOAWAY soon: closing now, beside bytes of it that were not read, could take that away.
        // Whatever it sends, and whatever its streams wait for, this is the connection's end.
        isGivenUp = true
        endConnection(in: Self.timeToReadGoAway, context)
    }

    /// GOAWAY (RFC 9113 §6.8): streams that are open go on, new ones belong on another connection.
    private func sayGoodbye(in context: ChannelHandlerContext) {
        let payload = HTTP2Frame.FramePayload.goAway(lastStreamID: .maxID, errorCode: .noError, opaqueData: nil)
        context.writeAndFlush(wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: payload)), promise: nil)
    }

    private func startIdling() {
        guard let context, !isGivenUp else { return }
        endConnection(in: idleTimeout, context)
    }

    private func endConnection(in time: TimeAmount, _ context: ChannelHandlerContext) {
        end?.cancel()
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        end = context.eventLoop.scheduleTask(in: time) {
            guard let context = this.value.context else { return }
            if !this.value.isGivenUp { this.value.sayGoodbye(in: context) }
            context.close(promise: nil)
        }
    }
}

/// How much a client may have under way (RFC 9113 §5.2). ``ConnectionBacklog`` bounds the part that is held here.
enum HTTP2Windows {
    /// Enough for 300 MiB/s at 200 ms.
    private static let streamByteCount = 64 * 1024 * 1024
    private static let connectionByteCount = 4 * streamByteCount
    /// What the answers of one connection share, however many streams it has.
    static let answerByteCount = 1024 * 1024
    /// The increment that makes the connection's window so large: it begins with 65,535 bytes, and no setting changes
    /// that.
    static let connectionIncrement = connectionByteCount - 65_535

    static var connection: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.targetWindowSize = connectionByteCount
        // Without it, a stream would begin with 64 KiB and wait for the first answer.
        configuration.initialSettings.append(HTTP2Setting(parameter: .initialWindowSize, value: streamByteCount))
        return configuration
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = streamByteCount
        return configuration
    }
}
