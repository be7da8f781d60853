// When an HTTP/2 connection is read, and when not.

import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPServerCore

@Suite struct ConnectionBacklogTests {
    /// Counts the reads that the gate lets through.
    private final class ReadCount: ChannelOutboundHandler {
        typealias OutboundIn = Any

        var count = 0

        func read(context: ChannelHandlerContext) {
            count += 1
            context.read()
        }
    }

    private let reads = ReadCount()
    private let channel: EmbeddedChannel
    private let backlog: ConnectionBacklog
    private let budget = BodyBudget()

    init() throws {
        channel = EmbeddedChannel()
        let gate = HTTP2Gate(turns: LoopTurns(on: channel.embeddedEventLoop))
        try channel.pipeline.syncOperations.addHandlers([reads, gate])
        try channel.syncOptions?.setOption(.autoRead, value: false)
        backlog = ConnectionBacklog(budget: budget, gate: NIOLoopBound(gate, eventLoop: channel.embeddedEventLoop))
    }

    /// Whether a read that is asked for now reaches the connection.
    private func isRead() -> Bool {
        channel.embeddedEventLoop.run()
        let before = reads.count
        channel.read()
        return reads.count > before
    }

    private static let mebibyte = 1 << 20

    @Test func isNotReadBetweenTheLimitAndHalfOfIt() {
        backlog.add(16 * Self.mebibyte)
        #expect(isRead() && !backlog.isFull)
        backlog.add(1)
        #expect(!isRead() && backlog.isFull)
        backlog.remove(8 * Self.mebibyte)
        #expect(!isRead() && backlog.isFull)
        backlog.remove(1)
        #expect(isRead() && !backlog.isFull)
    }

    @Test func aReadThatWasAskedForMeanwhileIsMadeUpForOnce() {
        backlog.add(17 * Self.mebibyte)
        channel.embeddedEventLoop.run()
        for _ in 0..<3 { channel.read() }
        #expect(reads.count == 0)
        backlog.remove(17 * Self.mebibyte)
        channel.embeddedEventLoop.run()
        #expect(reads.count == 1)
    }

    @Test("many bodies share what may wait", arguments: [(1, 16), (8, 16), (16, 8), (128, 1), (5000, 1)])
    func share(bodies: Int, mebibytes: Int) {
        for _ in 0..<bodies { _ = budget.join() }
        backlog.add(mebibytes * Self.mebibyte)
        #expect(isRead())
        backlog.add(1)
        #expect(!isRead())
    }

    @Test func aBodyCountsUntilItIsTakenOrForgotten() async throws {
        var body: RequestBody? = RequestBody(length: nil, chunkByteCount: Self.mebibyte, backlog: backlog) {}
        for _ in 0..<20 { _ = body?.receive(ByteBuffer(repeating: 0, count: Self.mebibyte)) }
        #expect(!isRead())
        for _ in 0..<12 { _ = try await body?.next() }
        #expect(isRead(), "8 of 20 MiB are left")
        for _ in 0..<9 { _ = body?.receive(ByteBuffer(repeating: 0, count: Self.mebibyte)) }
        #expect(!isRead())
        body = nil
        #expect(isRead())
    }

    @Test func aBodyDoesNotWaitForBytesThatCannotCome() async throws {
        let body = RequestBody(length: nil, backlog: backlog) {}
        let first = Task { try await body.next() }
        while !body.wantsMore { await Task.yield() }
        backlog.add(17 * Self.mebibyte)
        #expect(!body.wantsMore, "the deadline of bodies does not run")
        backlog.remove(17 * Self.mebibyte)
        #expect(body.wantsMore)
        body.finish()
        #expect(try await first.value == nil)
    }
}
