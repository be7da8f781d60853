// Takes connections while there are files left for them, and tells of those that it cannot take.

import Glibc
import Logging
import NIOCore

/// Stands before the listener's socket. Connections that are not taken wait in the kernel's queue, and are taken when
/// others have ended.
final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    /// How soon a closed gate looks again: files are given back by whoever closes one, without a word.
    private static let pause = TimeAmount.milliseconds(20)

    private let configuration: HTTPServer.Configuration
    private let logger: Logger
    private var isClosed = false

    init(_ configuration: HTTPServer.Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    func read(context: ChannelHandlerContext) {
        guard !isClosed else { return }
        guard let obstacle = configuration.obstacle() else { return context.read() }
        tell(obstacle)
        isClosed = true
        waitForRoom(context)
    }

    private func waitForRoom(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((gate: self, context: context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            let (gate, context) = bound.value
            guard context.channel.isActive else { return }
            guard gate.configuration.obstacle() == nil else { return gate.waitForRoom(context) }
            gate.isClosed = false
            context.read()
        }
    }

    /// SwiftNIO tries again a second later, and says nothing.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let code = (error as? IOError)?.errnoCode
        tell(code.map { configuration.advice($0) ?? String(cString: strerror($0)) } ?? "the system refused it")
        context.fireErrorCaught(error)
    }

    private func tell(_ problem: String) {
        logger.error("a connection could not be taken; it waits", metadata: ["error": "\(problem)"])
    }
}
