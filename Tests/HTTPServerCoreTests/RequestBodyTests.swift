// A body on its way to its route.

import NIOCore
import Synchronization
import Testing

@testable import HTTPServerCore

@Suite(.timeLimit(.minutes(10))) struct RequestBodyTests {
    private struct Cut: Error {}

    private func body(_ demands: DemandCount = DemandCount()) -> RequestBody {
        RequestBody(length: nil) { demands.count.withLock { $0 += 1 } }
    }

    private final class DemandCount: Sendable {
        let count = Mutex(0)
    }

    @Test func bytesComeInOrderAndEnd() async throws {
        let body = body()
        for text in ["a", "b", "c"] { _ = body.receive(ByteBuffer(string: text)) }
        body.finish()
        var received = ""
        while let buffers = try await body.next() { received += buffers.map { String(buffer: $0) }.joined() }
        #expect(received == "abc")
        #expect(try await body.next() == nil)
    }

    @Test func whatArrivedIsReturnedBeforeAnError() async throws {
        let body = body()
        _ = body.receive(ByteBuffer(string: "a"))
        body.finish(throwing: Cut())
        #expect(try await body.next() == [ByteBuffer(string: "a")])
        await #expect(throws: Cut.self) { try await body.next() }
    }

    @Test func aCancelledConsumerGetsNoMoreThanArrivedBefore() async throws {
        let body = body()
        _ = body.receive(ByteBuffer(string: "a"))
        let consumer = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            let first = try await body.next()
            // A sender that is faster than the disk always has more.
            _ = body.receive(ByteBuffer(string: "b"))
            await #expect(throws: CancellationError.self) { try await body.next() }
            return first
        }
        #expect(try await consumer.value == [ByteBuffer(string: "a")])
    }

    @Test func nothingIsReadBeforeItIsAskedFor() async throws {
        let demands = DemandCount()
        let body = body(demands)
        #expect(!body.wantsMore)
        async let next = body.next()
        while demands.count.withLock({ $0 }) == 0 { await Task.yield() }
        #expect(body.wantsMore)
        #expect(!body.receive(ByteBuffer(string: "a")))
        #expect(try await next == [ByteBuffer(string: "a")])
    }

    @Test func aChunkIsCollectedBeforeTheConsumerIsWoken() async throws {
        let demands = DemandCount()
        let body = RequestBody(length: nil, chunkByteCount: 3) { demands.count.withLock { $0 += 1 } }
        async let first = body.next()
        while demands.count.withLock({ $0 }) == 0 { await Task.yield() }
        #expect(body.receive(ByteBuffer(string: "a")))
        #expect(body.wantsMore)
        #expect(!body.receive(ByteBuffer(string: "bc")))
        #expect(try await first == [ByteBuffer(string: "abc")])
        async let second = body.next()
        while demands.count.withLock({ $0 }) == 1 { await Task.yield() }
        #expect(body.receive(ByteBuffer(string: "d")))
        body.deliver()
        #expect(try await second == [ByteBuffer(string: "d")])
    }

    @Test func aConsumerGetsAboutAChunkAtATime() async throws {
        let body = RequestBody(length: nil, chunkByteCount: 3) {}
        for text in ["a", "b", "cde", "f", "g"] { _ = body.receive(ByteBuffer(string: text)) }
        body.finish()
        #expect(try await body.next()?.map { String(buffer: $0) } == ["ab", "cde"])
        #expect(try await body.next()?.map { String(buffer: $0) } == ["fg"])
        #expect(try await body.next() == nil)
    }

    @Test("single bytes do not come as buffers of their own, and what is large is not copied")
    func joining() async throws {
        let body = RequestBody(length: nil, chunkByteCount: 256 * 1024) {}
        let large = ByteBuffer(repeating: 1, count: 64 * 1024)
        for _ in 0..<50_000 { _ = body.receive(ByteBuffer(integer: UInt8(0))) }
        _ = body.receive(large)
        for _ in 0..<10 { _ = body.receive(ByteBuffer(integer: UInt8(2))) }
        body.finish()
        let buffers = try #require(try await body.next())
        #expect(buffers.map(\.readableBytes) == [16_384, 16_384, 16_384, 848, 65_536, 10])
        #expect(buffers.reduce(0) { $0 + $1.storageCapacity } <= 256 * 1024)
    }

    @Test func cancellationEndsTheWaiting() async {
        let demands = DemandCount()
        let body = body(demands)
        let task = Task { try await body.next() }
        while demands.count.withLock({ $0 }) == 0 { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
