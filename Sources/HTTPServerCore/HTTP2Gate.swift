// What stands between an HTTP/2 connection's frames and its socket.

import NIOCore

/// Keeps the connection from being read, whoever asks for it, and knows whether it has been given up.
final class HTTP2Gate: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private var isAskedFor = false
    private var context: ChannelHandlerContext?
    /// Whether the last frame that was written ends the connection for a fault of the client.
    private(set) var hasGivenUp = false

    var isOpen = true {
        didSet {
            guard isOpen, isAskedFor else { return }
            isAskedFor = false
            context?.read()
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func read(context: ChannelHandlerContext) {
        if isOpen { context.read() } else { isAskedFor = true }
    }

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
