// What clients send in one piece, and when others have their turn.

import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import HTTPServerCore

@Suite struct LoopTurnTests {
    private final class Clock {
        var now = NIODeadline.uptimeNanoseconds(0)
    }

    /// Answers each request at once, in the tenth of a turn, and asks for the next one.
    private final class Answering: ChannelInboundHandler {
        typealias InboundIn = HTTPRequestPart

        private let clock: Clock
        private(set) var count = 0
        private(set) var hasEnded = false

        init(_ clock: Clock) {
            self.clock = clock
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .end = unwrapInboundIn(data) else { return }
            count += 1
            clock.now = clock.now + .nanoseconds(LoopTurns.longest.nanoseconds / 10)
            context.read()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { hasEnded = true }
        }
    }

    /// Takes a whole turn for each part of a request.
    private final class Pondering: ChannelInboundHandler {
        typealias InboundIn = HTTPRequestPart

        private let clock: Clock
        private(set) var parts: [String] = []

        init(_ clock: Clock) {
            self.clock = clock
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head: parts.append("head")
            case .body: parts.append("body")
            case .end: parts.append("end")
            }
            clock.now = clock.now + LoopTurns.longest
        }
    }

    /// Takes twice as long as a turn for whatever comes, at first.
    private final class Slow: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let clock: Clock
        var time = TimeAmount.nanoseconds(LoopTurns.longest.nanoseconds * 2)
        private(set) var counts: [Int] = []

        init(_ clock: Clock) {
            self.clock = clock
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            counts.append(unwrapInboundIn(data).readableBytes)
            clock.now = clock.now + time
        }
    }

    private let loop = EmbeddedEventLoop()
    private let clock = Clock()
    private let turns: LoopTurns
    private let requests = ByteBuffer(string: String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 40))

    init() {
        turns = LoopTurns(on: loop) { [clock] in clock.now }
    }

    private func connection() throws -> (EmbeddedChannel, Answering) {
        let channel = EmbeddedChannel(loop: loop)
        let answering = Answering(clock)
        try channel.pipeline.syncOperations.addHandlers([HTTP1Codec(isSecure: false, turns: turns), answering])
        channel.read()
        return (channel, answering)
    }

    private func nextTurn() {
        loop.advanceTime(by: LoopTurns.pause)
    }

    @Test("a pipeline of requests is answered for as long as a turn, and goes on after others had theirs")
    func pipeline() throws {
        let (channel, answering) = try connection()
        try channel.writeInbound(requests)
        #expect(answering.count == 10)
        // Bytes that come meanwhile do not make the turn longer.
        try channel.writeInbound(requests)
        #expect(answering.count == 10)
        nextTurn()
        #expect(answering.count == 20)
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        for _ in 0..<5 { nextTurn() }
        #expect(answering.count == 70 && !answering.hasEnded)
        nextTurn()
        #expect(answering.count == 80 && answering.hasEnded)
    }

    @Test(
        "a request that came whole is handed on whole, however long its head takes",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["head", "end"]),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", ["head", "body", "end"]),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
                ["head", "body", "end"]
            ),
        ])
    func whole(_ request: String, _ parts: [String]) throws {
        let channel = EmbeddedChannel(loop: loop)
        let pondering = Pondering(clock)
        try channel.pipeline.syncOperations.addHandlers([HTTP1Codec(isSecure: false, turns: turns), pondering])
        channel.read()
        try channel.writeInbound(ByteBuffer(string: request + request))
        #expect(pondering.parts == parts)
    }

    @Test("of the connections that wait for their turn, one goes on at a time")
    func several() throws {
        let (first, second) = (try connection(), try connection())
        try first.0.writeInbound(requests)
        try second.0.writeInbound(requests)
        #expect(first.1.count == 10 && second.1.count == 10)
        nextTurn()
        #expect(first.1.count == 20 && second.1.count == 10)
        nextTurn()
        #expect(first.1.count == 20 && second.1.count == 20)
    }

    @Test("a connection that is gone does not go on")
    func closed() throws {
        let (channel, answering) = try connection()
        let (other, otherAnswering) = try connection()
        try channel.writeInbound(requests)
        try other.writeInbound(requests)
        try channel.close().wait()
        loop.run()
        for _ in 0..<10 { nextTurn() }
        #expect(answering.count == 10 && otherAnswering.count == 40)
    }

    @Test("bytes of HTTP/2 come in pieces that take no longer than a turn")
    func pieces() throws {
        let channel = EmbeddedChannel(loop: loop)
        let slow = Slow(clock)
        try channel.pipeline.syncOperations.addHandlers([HTTP2Gate(turns: turns), slow])
        try channel.writeInbound(ByteBuffer(repeating: 0, count: 12 * 1024))
        #expect(slow.counts == [8192])
        try channel.writeInbound(ByteBuffer(repeating: 0, count: 3 * 1024))
        #expect(slow.counts == [8192])
        for _ in 0..<10 { nextTurn() }
        #expect(slow.counts == [8192, 4096, 2048, 1024])
        slow.time = .zero
        try channel.writeInbound(ByteBuffer(repeating: 0, count: 8 * 1024))
        #expect(slow.counts.dropFirst(4) == [512, 1024, 2048, 4096, 512])
    }
}
