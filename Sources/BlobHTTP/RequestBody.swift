// A request's body on its way from the event loop to the task that handles the request.

import NIOCore
import Synchronization

/// The bytes of a request, read from the connection only as fast as they are taken.
///
/// The event loop reads one receive buffer ahead of the consumer, and no further.
final class RequestBody: Sendable {
    private enum End {
        case complete
        case failed(any Error)
    }

    private struct State {
        var buffers = CircularBuffer<ByteBuffer>()
        var end: End?
        var consumer: CheckedContinuation<ByteBuffer?, any Error>?
        var isAskedFor = false
    }

    /// The number of bytes, where the client announced it.
    let length: Int64?
    private let state = Mutex(State())
    private let demand: @Sendable () -> Void

    /// - Parameters:
    ///   - length: the number of bytes, where announced.
    ///   - demand: called on any thread when more bytes should be read.
    init(length: Int64?, demand: @escaping @Sendable () -> Void) {
        self.length = length
        self.demand = demand
    }

    // MARK: The consumer's side

    /// The next bytes, `nil` after the last. The first call is what makes the server ask for the body, where the client
    /// waits for that.
    ///
    /// Bytes that arrived already are returned before an error or a cancellation is thrown.
    func next() async throws -> ByteBuffer? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (outcome, needsMore) = state.withLock { state -> (Result<ByteBuffer?, any Error>?, Bool) in
                    state.isAskedFor = true
                    if let buffer = state.buffers.popFirst() {
                        return (.success(buffer), state.buffers.isEmpty && state.end == nil)
                    }
                    switch state.end {
                    case .complete: return (.success(nil), false)
                    case .failed(let error): return (.failure(error), false)
                    case nil:
                        state.consumer = continuation
                        return (nil, true)
                    }
                }
                if let outcome { continuation.resume(with: outcome) }
                if needsMore { demand() }
            }
        } onCancel: {
            finish(throwing: CancellationError())
        }
    }

    // MARK: The event loop's side

    /// Whether the consumer has asked for bytes that are not there.
    var wantsMore: Bool {
        state.withLock { $0.isAskedFor && $0.buffers.isEmpty && $0.end == nil }
    }

    /// Whether anybody has asked for the body.
    var isAskedFor: Bool { state.withLock { $0.isAskedFor } }

    func receive(_ buffer: ByteBuffer) {
        let consumer = state.withLock { state -> CheckedContinuation<ByteBuffer?, any Error>? in
            guard state.end == nil else { return nil }
            if let consumer = state.consumer.take() { return consumer }
            state.buffers.append(buffer)
            return nil
        }
        consumer?.resume(returning: buffer)
    }

    /// Ends the body; without effect when it ended already.
    func finish(throwing error: (any Error)? = nil) {
        let consumer = state.withLock { state -> CheckedContinuation<ByteBuffer?, any Error>? in
            guard state.end == nil else { return nil }
            state.end = error.map(End.failed) ?? .complete
            return state.consumer.take()
        }
        if let error { consumer?.resume(throwing: error) } else { consumer?.resume(returning: nil) }
    }
}
