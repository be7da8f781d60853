// What stands between an HTTP/2 connection's frames and its socket.

import NIOCore

/// Keeps the connection from being read, whoever asks for it, lets what was read wait when the connection's turn on
/// its loop is over, and knows whether the connection has been given up.
final class HTTP2Gate: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// The bytes that are passed on at a time: as many as take no longer than a turn. Those of a body take little, and
    /// those of fields that are named again and again by a byte each (RFC 7541) much.
    private static let pieces = 256...256 * 1024

    private let turns: LoopTurns
    private var isAskedFor = false
    private var context: ChannelHandlerContext?
    /// What was read and is not passed on yet.
    private var held = CircularBuffer<ByteBuffer>()
    private var piece = 8 * 1024
    /// The time that was spent on what was read since the connection's turn began.
    private var used = TimeAmount.zero
    private var waitsForTurn = false
    /// Whether the last frame that was written ends the connection for a fault of the client.
    private(set) var hasGivenUp = false

    var isOpen = true {
        didSet { readIfWanted() }
    }

    init(turns: LoopTurns) {
        self.turns = turns
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        held.removeAll()
    }

    // MARK: Bytes from the client

    func read(context: ChannelHandlerContext) {
        isAskedFor = true
        readIfWanted()
    }

    private func readIfWanted() {
        guard isOpen, isAskedFor, held.isEmpty else { return }
        isAskedFor = false
        context?.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        held.append(unwrapInboundIn(data))
        if !waitsForTurn { passOn(context) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !waitsForTurn { used = .zero }
        context.fireChannelReadComplete()
    }

    private func passOn(_ context: ChannelHandlerContext) {
        while used < LoopTurns.longest, var first = held.popFirst() {
            guard let bytes = first.readSlice(length: min(piece, first.readableBytes)) else { continue }
            if first.readableBytes > 0 { held.prepend(first) }
            let start = turns.now()
            context.fireChannelRead(wrapInboundOut(bytes))
            let time = turns.now() - start
            used += time
            let isLong = time > LoopTurns.longest
            let next =
                isLong ? bytes.readableBytes * Int(LoopTurns.longest.nanoseconds) / Int(time.nanoseconds) : piece * 2
            piece = min(max(next, Self.pieces.lowerBound), Self.pieces.upperBound)
        }
        guard !held.isEmpty else { return }
        waitsForTurn = true
        turns.wait { [weak self] in self?.goOn() }
    }

    private func goOn() {
        (waitsForTurn, used) = (false, .zero)
        guard let context else { return }
        passOn(context)
        channelReadComplete(context: context)
        readIfWanted()
    }

    // MARK: Bytes to the client

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .byteBuffer(let bytes) = unwrapOutboundIn(data) { hasGivenUp = bytes.isGoAwayWithError }
        context.write(data, promise: promise)
    }
}

extension ByteBuffer {
    /// A frame of the type 7 with an error code other than 0 (RFC 9113 §6.8). Every frame is a write of its own but for
    /// the contents of DATA.
    fileprivate var isGoAwayWithError: Bool {
        guard readableBytes == 17, getInteger(at: readerIndex, as: UInt32.self) == 8 << 8 | 7 else { return false }
        return getInteger(at: readerIndex + 13, as: UInt32.self) != 0
    }
}
