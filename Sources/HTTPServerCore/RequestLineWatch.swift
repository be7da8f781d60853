// Sees a request's first bytes before they are parsed.

import NIOCore

/// Stands before the decoder, and notes whether a request has begun, and whether its first line has ended: the decoder
/// reports a target that is too long and a header that is too large as the same error.
final class RequestLineWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Whether what arrives now belongs to a request's first line.
    private(set) var isInRequestLine = true
    /// Whether anything of the request has arrived.
    private(set) var hasBegun = false

    /// The next bytes begin a request.
    func expectRequest() {
        isInRequestLine = true
        hasBegun = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasBegun = true
        if isInRequestLine, unwrapInboundIn(data).readableBytesView.contains(UInt8(ascii: "\n")) {
            isInRequestLine = false
        }
        context.fireChannelRead(data)
    }
}
