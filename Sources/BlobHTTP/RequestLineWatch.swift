// Tells a target that is too long from a header that is too large.

import NIOCore

/// Stands before the decoder, which reports both as the same error, and notes whether a request's first line has ended.
final class RequestLineWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Whether what arrives now belongs to a request's first line.
    private(set) var isInRequestLine = true

    /// The next bytes begin a request.
    func expectRequest() {
        isInRequestLine = true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isInRequestLine, unwrapInboundIn(data).readableBytesView.contains(UInt8(ascii: "\n")) {
            isInRequestLine = false
        }
        context.fireChannelRead(data)
    }
}
