// Bodies whose bytes are held back, or lie in memory.

import BlobCore
import NIOCore

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
