// Who may work on an upload: one request at a time, and the newest wins.

import BlobCore
import Synchronization

/// Lets one request at a time work on an upload. A newer one ends the older one, waits until that has kept the bytes
/// that it had received, and goes on from there: a phone that lost its network and came back must not wait for a dead
/// connection.
///
/// This orders requests within one process; across processes the epoch of the upload's row does.
final class UploadTurns: Sendable {
    /// How long a turn has been waiting for its client. The server's own work is no silence of the client's.
    final class Activity: Sendable {
        private let waitingSince = Mutex<ContinuousClock.Instant?>(nil)

        func waiting<Value>(_ body: () async throws -> Value) async rethrows -> Value {
            waitingSince.withLock { $0 = .now }
            defer { waitingSince.withLock { $0 = nil } }
            return try await body()
        }

        var silence: Duration { waitingSince.withLock { $0?.duration(to: .now) } ?? .zero }
    }

    private struct Turn: Sendable {
        let number: UInt64
        let activity: Activity
        let cancel: @Sendable () -> Void
        let finished: @Sendable () async -> Void

        func end() async {
            cancel()
            await finished()
        }
    }

    /// An upload, as one subject names it: who does not own it ends nobody's turn.
    struct Key: Hashable {
        let id: UploadID
        let owner: Subject
    }

    private struct State {
        var turns: [Key: Turn] = [:]
        var lastNumber: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Runs an operation as the upload's newest turn. The operation sees its task cancelled when a newer turn begins or
    /// the caller is cancelled; it then keeps the bytes that it has and returns.
    func take<Value: Sendable>(
        _ key: Key,
        _ operation: @escaping @Sendable (Activity) async -> Result<Value, BlobError>
    ) async throws(BlobError) -> Value {
        let activity = Activity()
        let (task, number) = state.withLock { state in
            let previous = state.turns[key]
            let task = Task {
                await previous?.end()
                return Task.isCancelled ? .failure(.uploadSuperseded) : await operation(activity)
            }
            state.lastNumber += 1
            state.turns[key] = Turn(
                number: state.lastNumber, activity: activity, cancel: { task.cancel() },
                finished: { _ = await task.value }
            )
            return (task, state.lastNumber)
        }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        state.withLock { if $0.turns[key]?.number == number { $0.turns[key] = nil } }
        return try result.get()
    }

    /// Ends the upload's turn if it has been waiting for its client for `limit`.
    ///
    /// - Returns: whether it did.
    func endSilent(_ key: Key, after limit: Duration) async -> Bool {
        let turn = state.withLock { $0.turns[key] }
        guard let turn, turn.activity.silence >= limit else { return false }
        await turn.end()
        return true
    }
}
