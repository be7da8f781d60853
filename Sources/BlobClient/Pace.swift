// How fast bytes may go.

import NIOCore
import Synchronization

/// Lets so many bytes through in a second, those of all transfers of a client together.
final class Pace: Sendable {
    private let bytesPerSecond: Int64
    /// When all that was let through is over.
    private let end = Mutex(ContinuousClock.now)

    /// What goes at once: a quarter of a second's bytes, so that a slow way is used evenly, and 4 to 256 KiB.
    let stepByteCount: Int

    init(bytesPerSecond: Int64) {
        self.bytesPerSecond = max(1, bytesPerSecond)
        stepByteCount = Int(Swift.min(Swift.max(bytesPerSecond / 4, 4 << 10), 256 << 10))
    }

    /// Waits until so many more bytes may go.
    func wait(for count: Int) async throws {
        let start = end.withLock { end in
            let start = Swift.max(end, .now)
            end = start + .nanoseconds(Int64(Double(count) / Double(bytesPerSecond) * 1e9))
            return start
        }
        try await Task.sleep(until: start)
    }
}

/// A body whose bytes go at a pace.
struct PacedBody<Base: AsyncSequence<ByteBuffer, any Error> & Sendable>: AsyncSequence, Sendable {
    let base: Base
    let pace: Pace

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: Base.AsyncIterator
        let pace: Pace
        var rest = ByteBuffer()

        mutating func next() async throws -> ByteBuffer? {
            if rest.readableBytes == 0 {
                guard let next = try await base.next() else { return nil }
                rest = next
            }
            guard let step = rest.readSlice(length: Swift.min(rest.readableBytes, pace.stepByteCount)) else {
                return rest
            }
            try await pace.wait(for: step.readableBytes)
            return step
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: base.makeAsyncIterator(), pace: pace)
    }
}

/// Bytes in memory as a body that comes piece by piece.
struct BufferBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let buffer: ByteBuffer

    struct AsyncIterator: AsyncIteratorProtocol {
        var buffer: ByteBuffer?

        mutating func next() async throws -> ByteBuffer? {
            defer { buffer = nil }
            return buffer
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(buffer: buffer) }
}
