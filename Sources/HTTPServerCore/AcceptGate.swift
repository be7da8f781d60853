// Takes connections while there is room for them, and tells of those that it cannot take.

import Glibc
import Logging
import NIOCore

/// Stands before the listener's socket. Connections that are not taken wait in the kernel's queue, and are taken when
/// others have ended.
final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    /// How soon a gate that is closed for want of files looks again: they are given back by whoever closes one, without
    /// a word.
    private static let pause = TimeAmount.milliseconds(20)

    private let configuration: HTTPServer.Configuration
    private let connections: OpenConnections
    private let logger: Logger
    /// Taken from the kernel's queue, and not to be served before there is room. Nothing is read meanwhile.
    private var waiting: (any Channel)?

    init(_ configuration: HTTPServer.Configuration, _ connections: OpenConnections, logger: Logger) {
        self.configuration = configuration
        self.connections = connections
        self.logger = logger
    }

    func read(context: ChannelHandlerContext) {
        if waiting == nil { context.read() }
    }

    private func waitForFiles(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((gate: self, context: context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            let (gate, context) = bound.value
            guard context.channel.isActive else { return }
            if gate.configuration.obstacle() == nil { gate.tryAgain(context) } else { gate.waitForFiles(context) }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        // Not before there is a newcomer: looking for files closes connections that idle.
        if let obstacle = configuration.obstacle() {
            tell(obstacle)
            waiting = channel
            return waitForFiles(context)
        }
        let bound = NIOLoopBound((gate: self, context: context), eventLoop: context.eventLoop)
        let admission = connections.admit(channel) {
            bound.eventLoop.execute { bound.value.gate.tryAgain(bound.value.context) }
        }
        switch admission {
        case .taken: context.fireChannelRead(data)
        case .replacing:
            logger.warning(
                "idle connections are closed to make room for new ones", metadata: ["limit": "max-connections"])
            context.fireChannelRead(data)
        case .later:
            logger.warning("all connections are busy; newcomers wait", metadata: ["limit": "max-connections"])
            waiting = channel
        case .refused:
            logger.warning(
                "a connection was refused: its client has as many as it may, all of them busy",
                metadata: [
                    "peer": "\(channel.remoteAddress?.ipAddress ?? "unknown")", "limit": "max-connections-per-address",
                ])
            channel.close(promise: nil)
        }
    }

    private func tryAgain(_ context: ChannelHandlerContext) {
        guard let channel = waiting else { return }
        waiting = nil
        channelRead(context: context, data: wrapInboundOut(channel))
        if context.channel.isActive { read(context: context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        waiting?.close(promise: nil)
        waiting = nil
        context.fireChannelInactive()
    }

    /// The system refused to take a connection, and would do so again at once: SwiftNIO goes on asking for the
    /// connection while it waits, and would do nothing else.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let code = (error as? IOError)?.errnoCode, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) else {
            return context.fireErrorCaught(error)
        }
        tell(configuration.advice(code) ?? String(cString: strerror(code)))
        // Closes idle connections, where they are what is in the way.
        _ = configuration.obstacle()
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            try? bound.value.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }

    private func tell(_ problem: String) {
        logger.error("a connection could not be taken; it waits", metadata: ["error": "\(problem)"])
    }
}
