// Questions that are answered in time, whatever those who are asked do.

import Synchronization

/// Asks one question, at most once at a time and once a second, and tells the last answer while the next one is waited
/// for.
///
/// A disk or a database that is busy may take minutes to answer. A monitor of the server must not take it for dead
/// meanwhile, and must not add to the work.
final class Probe<Answer: Sendable>: Sendable {
    struct Known: Sendable {
        let answer: Answer
        let time: ContinuousClock.Instant
    }

    fileprivate struct Waiting {
        let continuation: CheckedContinuation<Void, Never>
        /// Ends the wait.
        var timer: Task<Void, Never>?
    }

    fileprivate struct State {
        var last: Known?
        var isAsking = false
        var waiting: [Int: Waiting] = [:]
        var nextID = 0
    }

    private let freshness: Duration
    private let patience: Duration
    private let question: @Sendable () async -> Answer
    private let state = Mutex(State())

    /// - Parameters:
    ///   - freshness: how long an answer is told without asking again.
    ///   - patience: how long the next answer is waited for before the last one is told.
    init(
        freshness: Duration = .seconds(1), patience: Duration = .milliseconds(500),
        _ question: @escaping @Sendable () async -> Answer
    ) {
        (self.freshness, self.patience) = (freshness, patience)
        self.question = question
    }

    /// The answer of now, or the last one where that takes long; `nil` where there has been none yet.
    func known() async -> Known? {
        if let last = state.withLock({ $0.last }), ContinuousClock.now - last.time < freshness { return last }
        if state.withLock({ $0.begins() }) { ask() }
        await withCheckedContinuation { continuation in
            guard let id = state.withLock({ $0.wait(continuation) }) else { return continuation.resume() }
            let timer = Task { [patience] in
                try? await Task.sleep(for: patience)
                state.withLock { $0.waiting.removeValue(forKey: id) }?.continuation.resume()
            }
            state.withLock { $0.waiting[id]?.timer = timer }
        }
        return state.withLock { $0.last }
    }

    private func ask() {
        Task {
            let known = Known(answer: await question(), time: .now)
            for waiting in state.withLock({ $0.ends(known) }) {
                waiting.timer?.cancel()
                waiting.continuation.resume()
            }
        }
    }
}

extension Probe.State {
    /// - Returns: whether the question has to be asked.
    fileprivate mutating func begins() -> Bool {
        defer { isAsking = true }
        return !isAsking
    }

    /// - Returns: `nil` when there is nothing to wait for.
    fileprivate mutating func wait(_ continuation: CheckedContinuation<Void, Never>) -> Int? {
        guard isAsking else { return nil }
        nextID += 1
        waiting[nextID] = Probe.Waiting(continuation: continuation)
        return nextID
    }

    fileprivate mutating func ends(_ known: Probe.Known) -> [Probe.Waiting] {
        defer { (last, isAsking, waiting) = (known, false, [:]) }
        return Array(waiting.values)
    }
}
