// HTTP/1.1 on a connection: bytes to the parts of requests, and the parts of answers to bytes.

import BlobCore
import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Takes requests apart, one at a time, and only when the next one is asked for: what a client sends behind a request
/// waits as bytes until that one is answered (RFC 9112 §9.3.2).
///
/// What is no request of HTTP/1.1 is reported as a ``Refusal``, and nothing behind it is read.
final class HTTP1Codec: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = IOData

    private var decoder: RequestDecoder
    /// A request has been handed on whole, and the next one is not asked for yet.
    private var isPaused = true
    private var isAdvancing = false
    /// Bytes are asked for, and none have been handed on since.
    private var isAskedFor = false
    /// The client's side has ended behind the bytes that are left.
    private var hasEndedBehind = false
    private let turns: LoopTurns
    /// The time that was spent on what was read since the connection's turn began.
    private var used = TimeAmount.zero
    private var waitsForTurn = false
    private var context: ChannelHandlerContext?

    init(isSecure: Bool, turns: LoopTurns) {
        decoder = RequestDecoder(isSecure: isSecure)
        self.turns = turns
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    /// Whether bytes of a head are here whose end is not.
    var hasBegun: Bool { decoder.hasBegun }

    // MARK: Requests

    func read(context: ChannelHandlerContext) {
        (isPaused, isAskedFor) = (false, true)
        advance(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        decoder.add(unwrapInboundIn(data))
        used = .zero
        advance(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event, isPaused || waitsForTurn, decoder.holdsBytes else {
            return context.fireUserInboundEventTriggered(event)
        }
        hasEndedBehind = true
    }

    private func advance(_ context: ChannelHandlerContext) {
        // What is handed on may ask for more: the loop goes on with it.
        guard !isAdvancing, !waitsForTurn else { return }
        isAdvancing = true
        do throws(Refusal) {
            var isHead = false
            // A head with what stands right behind it, and the last of a body with its end, are in one turn: whether
            // the connection stays must not depend on how long they took.
            while !isPaused, isHead || decoder.isAtEnd || !isTurnOver {
                let start = turns.now()
                guard let part = try decoder.next() else { break }
                isAskedFor = false
                if case .end = part { isPaused = true }
                isHead = if case .head = part { true } else { false }
                context.fireChannelRead(wrapInboundOut(part))
                used += turns.now() - start
            }
        } catch {
            context.fireErrorCaught(error)
        }
        isAdvancing = false
        if !isPaused, isTurnOver { return waitForTurn() }
        if hasEndedBehind, isAskedFor || !decoder.holdsBytes {
            hasEndedBehind = false
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        guard isAskedFor else { return }
        isAskedFor = false
        context.read()
    }

    private var isTurnOver: Bool { used >= LoopTurns.longest && decoder.holdsBytes }

    private func waitForTurn() {
        waitsForTurn = true
        turns.wait { [weak self] in
            guard let self else { return }
            (waitsForTurn, used) = (false, .zero)
            if let context { advance(context) }
        }
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes =
            switch unwrapOutboundIn(data) {
            case .head(let head): Self.bytes(of: head, context.channel.allocator)
            case .body(let buffer): buffer
            // Every answer tells its length: nothing marks its end.
            case .end: ByteBuffer()
            }
        context.write(wrapOutboundOut(.byteBuffer(bytes)), promise: promise)
    }

    /// A status line and fields (RFC 9112 §4 and §5). No field holds the end of a line: HTTPTypes sees to it.
    private static func bytes(of head: HTTPResponse, _ allocator: ByteBufferAllocator) -> ByteBuffer {
        var bytes = allocator.buffer(capacity: 512)
        bytes.writeStaticString("HTTP/1.1 ")
        bytes.writeString(String(head.status.code))
        bytes.writeInteger(UInt8.space)
        bytes.writeString(head.status.reasonPhrase)
        for field in head.headerFields {
            bytes.writeStaticString("\r\n")
            bytes.writeString(field.name.rawName)
            bytes.writeStaticString(": ")
            bytes.writeString(field.value)
        }
        bytes.writeStaticString("\r\n\r\n")
        return bytes
    }
}
