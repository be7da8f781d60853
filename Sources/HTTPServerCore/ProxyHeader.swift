// The header by which a proxy says for whom it opened a connection, before the first byte of that connection's own.

import NIOCore

/// A header of version 2 of the PROXY protocol (HAProxy's proxy-protocol.txt, section 2.2).
struct ProxyHeader: Equatable {
    /// What follows the fixed part: addresses, and more that nobody here asks for. Proxies send some hundred bytes.
    static let longest = 4096

    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    struct Malformed: Error, Equatable {}

    /// Whom the connection is from; `nil` where the proxy speaks for itself, or does not say.
    let source: (address: IPAddress, port: Int)?

    /// Takes a header off the beginning of a connection's bytes.
    ///
    /// - Returns: `nil` until it is there as a whole; nothing is taken then.
    /// - Throws: ``Malformed`` as soon as it can be none.
    static func read(from bytes: inout ByteBuffer) throws(Malformed) -> ProxyHeader? {
        let begin = bytes.readableBytesView.prefix(signature.count)
        guard signature.starts(with: begin) else { throw Malformed() }
        guard let fixed = bytes.getBytes(at: bytes.readerIndex + signature.count, length: 4) else { return nil }
        let (version, command, family) = (fixed[0] >> 4, fixed[0] & 0xF, fixed[1])
        let length = Int(fixed[2]) << 8 | Int(fixed[3])
        guard version == 2, command <= 1, length <= longest else { throw Malformed() }
        guard bytes.readableBytes >= signature.count + 4 + length else { return nil }
        bytes.moveReaderIndex(forwardBy: signature.count + 4)
        guard let rest = bytes.readSlice(length: length) else { throw Malformed() }
        return ProxyHeader(source: command == 0 ? nil : try source(rest, family))
    }

    private static func source(
        _ rest: ByteBuffer, _ family: UInt8
    ) throws(Malformed) -> (address: IPAddress, port: Int)? {
        let size: Int
        switch family {
        case 0x11: size = 4
        case 0x21: size = 16
        // Unspecified, or a kind of connection that this is not: to be ignored.
        default: return nil
        }
        // Source and destination, and then the ports of both.
        guard rest.readableBytes >= 2 * size + 4,
            let address = rest.getBytes(at: rest.readerIndex, length: size).flatMap({ IPAddress(bytes: $0) }),
            let port = rest.getInteger(at: rest.readerIndex + 2 * size, as: UInt16.self)
        else { throw Malformed() }
        return (address, Int(port))
    }

    static func == (left: ProxyHeader, right: ProxyHeader) -> Bool {
        left.source?.address == right.source?.address && left.source?.port == right.source?.port
    }
}

/// Reads the header of a connection, and then makes way. Nothing is set up before it is known for whom.
final class ProxyHeaderHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var bytes = ByteBuffer()
    private var isDone = false
    /// Sets up the rest of the pipeline.
    private let goOn: (ProxyHeader) throws -> Void

    init(_ goOn: @escaping (ProxyHeader) throws -> Void) {
        self.goOn = goOn
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return context.fireChannelRead(data) }
        var more = unwrapInboundIn(data)
        bytes.writeBuffer(&more)
        do {
            guard let header = try ProxyHeader.read(from: &bytes) else { return }
            isDone = true
            try goOn(header)
            if bytes.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(bytes)) }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isDone { context.fireChannelReadComplete() } else { context.read() }
    }

    /// Nobody says any more for whom the connection is.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed where !isDone, is ChannelShouldQuiesceEvent where !isDone:
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
