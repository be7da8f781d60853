// A request's body on its way from the event loop to the task that handles the request.

public import NIOCore
import Synchronization

/// The bytes of a request, read from the connection only as fast as they are taken.
///
/// Waking a task costs more than receiving a few KiB, so the event loop collects a chunk, or the bytes of a few
/// milliseconds, before it wakes the consumer. While the consumer works on one chunk, the next is collected, and no
/// more.
public final class RequestBody: Sendable {
    private enum End {
        case complete
        case failed(any Error)
    }

    /// Bytes, `nil` after the last of them, or why there are no more.
    private typealias Taken = Result<[ByteBuffer]?, any Error>

    private struct State {
        var buffers: [ByteBuffer] = []
        var heldByteCount = 0
        var end: End?
        var consumer: CheckedContinuation<Taken, Never>?
        var isAskedFor = false

        /// What the consumer can have now, about a chunk of it; `nil` when it has to wait.
        mutating func take(_ chunkByteCount: Int) -> Taken? {
            if !buffers.isEmpty {
                var (count, byteCount) = (0, 0)
                while count < buffers.count, byteCount < chunkByteCount {
                    byteCount += buffers[count].readableBytes
                    count += 1
                }
                defer {
                    buffers.removeFirst(count)
                    heldByteCount -= byteCount
                }
                return .success(Array(buffers.prefix(count)))
            }
            switch end {
            case .complete: return .success(nil)
            case .failed(let error): return .failure(error)
            case nil: return nil
            }
        }

        /// Adds to the last buffer what is small: a thousand buffers of one byte would hold 2 MiB, and be written as a
        /// thousand.
        mutating func append(_ buffer: ByteBuffer, _ chunkByteCount: Int) {
            heldByteCount += buffer.readableBytes
            let room = min(chunkByteCount, RequestBody.joinedByteCount) - buffer.readableBytes
            guard let last = buffers.indices.last, buffers[last].readableBytes <= room else {
                return buffers.append(buffer)
            }
            buffers[last].writeImmutableBuffer(buffer)
        }

        /// The waiting consumer and its bytes, when there are both.
        mutating func wake(
            _ chunkByteCount: Int
        ) -> (CheckedContinuation<Taken, Never>, Taken)? {
            guard let waiting = consumer, let taken = take(chunkByteCount) else { return nil }
            consumer = nil
            return (waiting, taken)
        }
    }

    /// Up to this size, copying bytes costs less than handing them on by themselves.
    private static let joinedByteCount = 16 * 1024

    /// The number of bytes, where the client announced it.
    public let length: Int64?
    private let chunkByteCount: Int
    /// The count of waiting bytes; `nil` where no more come than were asked for.
    private let backlog: ConnectionBacklog?
    private let state = Mutex(State())
    private let demand: @Sendable () -> Void

    /// - Parameters:
    ///   - length: the number of bytes, where announced.
    ///   - chunkByteCount: bytes to collect before the consumer is woken.
    ///   - backlog: of the connection, where bytes come without being asked for.
    ///   - demand: called on any thread when more bytes should be read.
    init(
        length: Int64?, chunkByteCount: Int = 1, backlog: ConnectionBacklog? = nil,
        demand: @escaping @Sendable () -> Void
    ) {
        self.length = length
        self.chunkByteCount = chunkByteCount
        self.backlog = backlog
        self.demand = demand
    }

    deinit {
        backlog?.remove(state.withLock { $0.heldByteCount })
    }

    // MARK: The consumer's side

    /// The next bytes, in one or more buffers; `nil` after the last. The first call makes the server ask for the body,
    /// where the client waits for that.
    ///
    /// Bytes that arrived already are returned before an error or a cancellation is thrown.
    public func next() async throws -> [ByteBuffer]? {
        // A consumer that never has to wait would not notice otherwise.
        if Task.isCancelled { finish(throwing: CancellationError()) }
        let (taken, hasEnded) = state.withLock { state in
            state.isAskedFor = true
            return (state.take(chunkByteCount), state.end != nil)
        }
        if let taken {
            if !hasEnded { demand() }
            return try handedOver(taken)
        }
        let late = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.consumer = continuation }
                // Bytes that came in between, or an end, can be had at once.
                deliver()
                demand()
            }
        } onCancel: {
            finish(throwing: CancellationError())
        }
        return try handedOver(late)
    }

    /// The consumer has the bytes from here on.
    private func handedOver(_ taken: Taken) throws -> [ByteBuffer]? {
        let buffers = try taken.get()
        if let backlog, let buffers { backlog.remove(buffers.reduce(0) { $0 + $1.readableBytes }) }
        return buffers
    }

    // MARK: The event loop's side

    /// Whether more should be read.
    var wantsMore: Bool {
        state.withLock { $0.isAskedFor && $0.heldByteCount < chunkByteCount && $0.end == nil } && !isHeldUp
    }

    /// Whether nothing can come because the connection waits for other consumers.
    private var isHeldUp: Bool { backlog?.isFull ?? false }

    /// Takes in bytes.
    ///
    /// - Returns: whether a consumer waits for more of them: ``deliver()`` must be called before long.
    func receive(_ buffer: ByteBuffer) -> Bool {
        let (isChunk, waits) = state.withLock { state in
            guard state.end == nil else { return (false, false) }
            state.append(buffer, chunkByteCount)
            backlog?.add(buffer.readableBytes)
            return (state.heldByteCount >= chunkByteCount, state.consumer != nil)
        }
        if isChunk { deliver() }
        return waits && !isChunk
    }

    /// Lets a waiting consumer have the bytes that are there.
    func deliver() {
        let woken = state.withLock { $0.wake(chunkByteCount) }
        if let (consumer, taken) = woken { consumer.resume(returning: taken) }
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
/// A body keeps the size that it began with, which bounds the bytes of 64 of them together to 11 MiB, instead of the 4
/// MiB that are shared out; each one beyond them adds 64 KiB.
final class BodyBudget: Sendable {
    private let count = Atomic(0)

    private static let totalByteCount = 4 * 1024 * 1024
    private static let chunkByteCounts = 64 * 1024...384 * 1024
    private static let totalBacklogByteCount = 128 * 1024 * 1024
    private static let backlogByteCounts = 1024 * 1024...16 * 1024 * 1024

    /// Takes part; the chunk size to use.
    func join() -> Int {
        let count = count.add(1, ordering: .relaxed).newValue
        let share = Self.totalByteCount / max(1, count)
        return min(max(share, Self.chunkByteCounts.lowerBound), Self.chunkByteCounts.upperBound)
    }

    /// How much may wait on one HTTP/2 connection for the consumers of its bodies: 16 MiB, and where more than 8 bodies
    /// come at one time, a share of 128 MiB that is not below 1 MiB.
    var backlogByteCount: Int {
        let share = Self.totalBacklogByteCount / max(1, count.load(ordering: .relaxed))
        return min(max(share, Self.backlogByteCounts.lowerBound), Self.backlogByteCounts.upperBound)
    }

    func leave() {
        count.subtract(1, ordering: .relaxed)
    }
}
