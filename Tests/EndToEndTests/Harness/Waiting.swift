// Waiting without sleeping: blocking work on threads of its own, values that arrive once, and polling with a deadline
// where no event comes.

import Foundation
import Synchronization

/// A failure that kept a test from coming to its check: a deadline passed, a connection ended, an answer made no sense.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension Duration {
    /// How long a test waits for an event that has to come: a slow machine may take its time, and only a hang takes all
    /// of it.
    static let patience = Duration.seconds(120)
}

/// Runs blocking work on a new thread, so that Swift's cooperative pool never waits for a socket or a child process.
func onOwnThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            continuation.resume(with: Result { try work() })
        }
    }
}

/// Asks again and again until `attempt` returns a value; fails when the deadline passes first.
@discardableResult
func eventually<Value>(
    _ what: String, within limit: Duration = .patience, every pause: Duration = .milliseconds(25),
    _ attempt: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = try await attempt() { return value }
        guard ContinuousClock.now < deadline else { throw Failure("not within \(limit): \(what)") }
        try await Task.sleep(for: pause)
    }
}

/// A value that arrives once and that many may wait for.
final class Promise<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiting: [UUID: CheckedContinuation<Value?, Never>] = [:]
    }

    private let state = Mutex(State())

    /// Only the first value counts.
    func fulfil(_ value: Value) {
        let waiting = state.withLock { state in
            if state.value == nil { state.value = value }
            defer { state.waiting = [:] }
            return state.waiting.values.map { $0 }
        }
        for continuation in waiting { continuation.resume(returning: value) }
    }

    /// Nil when the deadline passes first.
    func value(within limit: Duration) async -> Value? {
        let id = UUID()
        return await withCheckedContinuation { continuation in
            let present = state.withLock { state in
                if state.value == nil { state.waiting[id] = continuation }
                return state.value
            }
            if let present { return continuation.resume(returning: present) }
            let seconds = Double(limit.components.seconds) + Double(limit.components.attoseconds) / 1e18
            DispatchQueue.global().asyncAfter(deadline: .now() + seconds) {
                self.state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(returning: nil)
            }
        }
    }
}
