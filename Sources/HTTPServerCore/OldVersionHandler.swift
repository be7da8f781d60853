// Requests of HTTP/1.0.

import NIOCore
import NIOHTTP1

/// Stands before the codec to the shared HTTP types, which know no version, and says of an HTTP/1.0 request in the
/// words of HTTP/1.1 what its version means.
final class OldVersionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data), head.version == .http1_0 else {
            return context.fireChannelRead(data)
        }
        // RFC 9112 §9.3: the connection ends after the answer unless it is asked to stay.
        if !head.isKeepAlive { head.headers.replaceOrAdd(name: "connection", value: "close") }
        // RFC 9110 §10.1.1: this expectation does not exist yet.
        head.headers.remove(name: "expect")
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }
}
