// The state that all connections of a server share.

import Synchronization

/// What a server knows of all its connections together.
struct ServerState: Sendable {
    let exchanges = ExchangeTracker()
    let bodies = BodyBudget()
    let answers = AnswerBudget(32 * 1024 * 1024)
    let turns = AllLoopTurns()
}

/// Counts the requests that routes are working on, so that a stopping server can wait for them.
final class ExchangeTracker: Sendable {
    private struct State {
        var count = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func began() {
        state.withLock { $0.count += 1 }
    }

    func ended() {
        let waiting = state.withLock { state in
            state.count -= 1
            guard state.count == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Returns when no route is working.
    func idle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.count > 0 { state.waiting.append(continuation) }
                return state.count == 0
            }
            if isIdle { continuation.resume() }
        }
    }
}
