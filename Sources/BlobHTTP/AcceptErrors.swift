// Tells of connections that cannot be taken. SwiftNIO tries again a second later, and says nothing.

import BlobStorage
import Logging
import NIOCore

/// Logs what the listener meets when it takes connections, and passes it on.
final class AcceptErrors: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let code = (error as? IOError)?.errnoCode ?? 0
        logger.error(
            "a connection could not be taken; it waits",
            metadata: ["error": "\(OpenFileLimit.advice(for: code) ?? "\(error)")"]
        )
        context.fireErrorCaught(error)
    }
}
