// How often something was tried in vain, and how long to wait before the next time.

import BlobCore
import Foundation

/// Counts failures without progress between them.
struct Attempts {
    private let policy: RetryPolicy
    private var failures = 0
    private var firstFailure: ContinuousClock.Instant?

    init(_ policy: RetryPolicy) {
        self.policy = policy
    }

    /// Something got further: the next failure is the first again.
    mutating func progressed() {
        (failures, firstFailure) = (0, nil)
    }

    /// Waits after a failure that may pass.
    ///
    /// - Parameter tell: is told before the wait.
    /// - Throws: the error when it will not pass or has come too often, `CancellationError` in a cancelled task.
    mutating func pause(
        after error: any Error, tell: (TransferEvent) -> Void
    ) async throws {
        try Task.checkCancellation()
        guard let error = error as? BlobClientError, error.isPassing else { throw error }
        failures += 1
        let first = firstFailure ?? .now
        firstFailure = first
        guard failures < policy.triesWithoutProgress || ContinuousClock.now - first < policy.leastTime else {
            throw error
        }
        let pause = delay(asked: error.retryAfter)
        tell(.retrying(error, after: pause))
        try await Task.sleep(for: pause)
    }

    private func delay(asked: Duration?) -> Duration {
        let own = Backoff(first: policy.firstPause, longest: policy.longestPause).pause(afterFailures: failures)
        return max(own, min(asked ?? .zero, policy.longestRequestedPause))
    }
}

extension BlobClientError {
    /// Whether trying again makes sense.
    fileprivate var isPassing: Bool {
        switch self {
        case .connection: true
        case .refused(let refusal): refusal.isPassing
        default: false
        }
    }

    fileprivate var retryAfter: Duration? {
        if case .refused(let refusal) = self { refusal.retryAfter } else { nil }
    }
}
