// How many tests run at once: Swift Testing starts all of them together, which would put hundreds of requests and
// dozens of servers on a small machine at the same moment and make every deadline a lottery.

import Synchronization
import Testing

/// Every suite of this target carries it: at most `limit` test cases run at the same time.
struct InTurnTrait: SuiteTrait, TestTrait, TestScoping {
    private static let limit = 8
    private static let turns = Turns(free: limit)

    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        await Self.turns.take()
        defer { Self.turns.giveBack() }
        try await function()
    }
}

extension Trait where Self == InTurnTrait {
    static var inTurn: Self { InTurnTrait() }
}

private final class Turns: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(free: Int) {
        state = Mutex(State(free: free))
    }

    func take() async {
        await withCheckedContinuation { continuation in
            let goOn = state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if goOn { continuation.resume() }
        }
    }

    func giveBack() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
