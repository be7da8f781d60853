// A long way between a client and the server, on which round trips are counted instead of timed.

import NIOCore
import NIOPosix
import Synchronization

/// Passes the client's bytes on at once, and the server's only when the client has fallen silent, as if they had been
/// on their way until then. That happens as often as the client has to wait for the other end.
final class RoundTripProxy: Sendable {
    private let trips = Mutex(0)
    private let listener: any Channel

    /// A client that sends nothing for this long waits for the server.
    private static let silence = TimeAmount.milliseconds(50)

    static func start(to port: Int) async throws -> RoundTripProxy {
        let proxy = Mutex<RoundTripProxy?>(nil)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: port)
                    .flatMapThrowing { server in
                        let way = Way(client: client, server: server) { proxy.withLock { $0 }?.count() }
                        try client.pipeline.syncOperations.addHandler(End(way, .client))
                        try server.pipeline.syncOperations.addHandler(End(way, .server))
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let started = RoundTripProxy(listener)
        proxy.withLock { $0 = started }
        return started
    }

    private init(_ listener: any Channel) { self.listener = listener }

    var port: Int { listener.localAddress?.port ?? 0 }
    var roundTrips: Int { trips.withLock { $0 } }

    func stop() async throws { try await listener.close() }

    private func count() { trips.withLock { $0 += 1 } }

    private enum Side { case client, server }

    /// Of one connection; belongs to its event loop.
    private final class Way {
        private let client: any Channel
        private let server: any Channel
        private let arrived: () -> Void
        private var underWay: [ByteBuffer] = []
        private var arrival: Scheduled<Void>?

        init(client: any Channel, server: any Channel, arrived: @escaping () -> Void) {
            (self.client, self.server, self.arrived) = (client, server, arrived)
        }

        func take(_ bytes: ByteBuffer, from side: Side) {
            if side == .client { server.writeAndFlush(bytes, promise: nil) } else { underWay.append(bytes) }
            arrival?.cancel()
            let this = NIOLoopBound(self, eventLoop: client.eventLoop)
            arrival = client.eventLoop.scheduleTask(in: RoundTripProxy.silence) { this.value.arrive() }
        }

        private func arrive() {
            guard !underWay.isEmpty else { return }
            arrived()
            for bytes in underWay { client.write(bytes, promise: nil) }
            underWay = []
            client.flush()
        }

        func end(_ side: Side) {
            arrive()
            (side == .client ? server : client).close(promise: nil)
        }
    }

    private final class End: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let way: Way
        private let side: Side

        init(_ way: Way, _ side: Side) { (self.way, self.side) = (way, side) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { way.take(unwrapInboundIn(data), from: side) }
        func channelInactive(context: ChannelHandlerContext) { way.end(side) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
