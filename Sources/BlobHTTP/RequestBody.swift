// A request's body on its way from the event loop to the task that handles the request.

import NIOCore
import Synchronization

/// The bytes of a request, read from the connection only as fast as they are taken.
///
/// Waking a task costs more than receiving a few KiB, so the event loop collects a chunk before it wakes the consumer,
/// or what came within a few milliseconds. While the consumer works on one chunk, the next is collected, and no more.
final class RequestBody: Sendable {
    private enum End {
        case complete
        case failed(any Error)
    }

    private struct State {
        var buffers: [ByteBuffer] = []
        var heldByteCount = 0
        var end: End?
        var consumer: CheckedContinuation<[ByteBuffer]?, any Error>?
        var isAskedFor = false

        /// What the consumer can have now; `nil` when it has to wait.
        mutating func take() -> Result<[ByteBuffer]?, any Error>? {
            if !buffers.isEmpty {
                defer {
                    buffers = []
                    heldByteCount = 0
                }
                return .success(buffers)
            }
            switch end {
            case .complete: return .success(nil)
            case .failed(let error): return .failure(error)
            case nil: return nil
            }
        }

        /// The waiting consumer and what it gets, when there is both.
        mutating func wake() -> (CheckedContinuation<[ByteBuffer]?, any Error>, Result<[ByteBuffer]?, any Error>)? {
            guard let waiting = consumer, let taken = take() else { return nil }
            consumer = nil
            return (waiting, taken)
        }
    }

    /// The number of bytes, where the client announced it.
    let length: Int64?
    private let chunkByteCount: Int
    private let state = Mutex(State())
    private let demand: @Sendable () -> Void

    /// - Parameters:
    ///   - length: the number of bytes, where announced.
    ///   - chunkByteCount: bytes to collect before the consumer is woken.
    ///   - demand: called on any thread when more bytes should be read.
    init(length: Int64?, chunkByteCount: Int = 1, demand: @escaping @Sendable () -> Void) {
        self.length = length
        self.chunkByteCount = chunkByteCount
        self.demand = demand
    }

    // MARK: The consumer's side

    /// The next bytes, in one or more buffers; `nil` after the last. The first call is what makes the server ask for
    /// the body, where the client waits for that.
    ///
    /// Bytes that arrived already are returned before an error or a cancellation is thrown.
    func next() async throws -> [ByteBuffer]? {
        // A consumer that never has to wait would not notice otherwise.
        if Task.isCancelled { finish(throwing: CancellationError()) }
        let (taken, hasEnded) = state.withLock { state in
            state.isAskedFor = true
            return (state.take(), state.end != nil)
        }
        if let taken {
            if !hasEnded { demand() }
            return try taken.get()
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                state.withLock { $0.consumer = continuation }
                // What came in between, or an end, can be had at once.
                deliver()
                demand()
            }
        } onCancel: {
            finish(throwing: CancellationError())
        }
    }

    // MARK: The event loop's side

    /// Whether more should be read.
    var wantsMore: Bool {
        state.withLock { $0.isAskedFor && $0.heldByteCount < chunkByteCount && $0.end == nil }
    }

    /// Takes in bytes.
    ///
    /// - Returns: whether a consumer waits for more of them: ``deliver()`` must be called before long.
    func receive(_ buffer: ByteBuffer) -> Bool {
        let (isChunk, waits) = state.withLock { state in
            guard state.end == nil else { return (false, false) }
            state.buffers.append(buffer)
            state.heldByteCount += buffer.readableBytes
            return (state.heldByteCount >= chunkByteCount, state.consumer != nil)
        }
        if isChunk { deliver() }
        return waits && !isChunk
    }

    /// Lets a waiting consumer have what is there.
    func deliver() {
        let woken = state.withLock { $0.wake() }
        if let (consumer, taken) = woken { consumer.resume(with: taken) }
    }

    /// Ends the body; without effect when it ended already.
    func finish(throwing error: (any Error)? = nil) {
        state.withLock { state in
            if state.end == nil { state.end = error.map(End.failed) ?? .complete }
        }
        deliver()
    }
}

/// How much each body may collect: a lone one gets large chunks, which cost little per byte, and many get smaller ones.
///
/// A body keeps the size that it began with, which bounds what 64 of them collect together to 11 MiB, instead of the
/// 4 MiB that are shared out; each one beyond them adds 64 KiB.
final class BodyBudget: Sendable {
    private let count = Atomic(0)

    private static let totalByteCount = 4 * 1024 * 1024
    private static let chunkByteCounts = 64 * 1024...384 * 1024

    /// Takes part; the chunk size to use.
    func join() -> Int {
        let count = count.add(1, ordering: .relaxed).newValue
        let share = Self.totalByteCount / max(1, count)
        return min(max(share, Self.chunkByteCounts.lowerBound), Self.chunkByteCounts.upperBound)
    }

    func leave() {
        count.subtract(1, ordering: .relaxed)
    }
}
