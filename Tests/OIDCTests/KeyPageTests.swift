// What is taken for an issuer's page of keys.

import NIOCore
import NIOPosix
import Testing

@testable import OIDC

@Suite struct KeyPageTests {
    /// Answers every connection with the same bytes, and ends it.
    private func withAnswer<Result: Sendable>(
        _ bytes: String, _ body: @Sendable (_ url: String) async throws -> Result
    ) async throws -> Result {
        try await withAnswers({ CannedAnswer(bytes) }, body)
    }

    private func withAnswers<Result: Sendable>(
        _ handler: @escaping @Sendable () -> some ChannelHandler,
        _ body: @Sendable (_ url: String) async throws -> Result
    ) async throws -> Result {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        do {
            let result = try await body("http://127.0.0.1:\(port)/keys")
            try await listener.close()
            return result
        } catch {
            try await listener.close()
            throw error
        }
    }

    /// Answers with a page that goes on a byte at a time, and never ends.
    private final class EndlessAnswer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let begin = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: begin)), promise: nil)
            let channel = context.channel
            context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(5)) { task in
                guard channel.isActive else { return task.cancel() }
                channel.writeAndFlush(ByteBuffer(string: " "), promise: nil)
            }
        }
    }

    private final class CannedAnswer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let bytes: String

        init(_ bytes: String) { self.bytes = bytes }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: bytes)), promise: nil)
            context.close(promise: nil)
        }
    }

    @Test func aPageIsRead() async throws {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}"
        let bytes = try await withAnswer(answer) { try await KeyPage(url: $0).read() }
        #expect(String(decoding: bytes, as: UTF8.self) == #"{"keys":[]}"#)
    }

    @Test(arguments: [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"keys\":[]}",
        "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: " ", count: KeyPage.longest + 1),
        "SSH-2.0-OpenSSH_9.2\r\n", "",
    ])
    func anotherAnswerIsNone(_ answer: String) async throws {
        await #expect(throws: (any Error).self) {
            _ = try await withAnswer(answer) { try await KeyPage(url: $0).read() }
        }
    }

    @Test("a page that goes on and on is given up, however often a byte of it comes")
    func endlessPage() async throws {
        await #expect {
            _ = try await withAnswers({ EndlessAnswer() }) {
                try await KeyPage(url: $0, patience: .milliseconds(200)).read()
            }
        } throws: {
            "\($0)".hasPrefix("it takes longer than")
        }
    }
}
