// When not to ask a store any more, because it did not answer the last times. The rules alone; their user brings the
// time and the lock.

import BlobCore

/// Closed while the store answers. After some failures in a row it opens: calls fail at once, but for one probe at a
/// time after a pause that doubles with each probe in vain. Any success closes it.
struct Circuit: Sendable {
    /// A try that was let through. Give it back once, whatever becomes of it.
    struct Pass: Sendable, Equatable {
        fileprivate(set) var isProbe: Bool
    }

    enum Outcome: Sendable, CaseIterable {
        /// The store answered, be it that the request was wrong.
        case answered
        /// No connection, no reply in time, or 5xx.
        case failed
        /// Nothing was learned about the store: the try was cancelled before its end.
        case unknown
    }

    private enum State: Equatable {
        case closed(failures: Int)
        /// The failures are those that opened it, as one, and the probes in vain.
        case open(until: ContinuousClock.Instant, failures: Int, isProbing: Bool)
    }

    private let settings: S3Configuration.CircuitBreaking
    private var state = State.closed(failures: 0)

    init(_ settings: S3Configuration.CircuitBreaking) {
        self.settings = settings
    }

    var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// Whether a try would not be let through.
    func refuses(at now: ContinuousClock.Instant) -> Bool {
        guard case .open(let until, _, let isProbing) = state else { return false }
        return isProbing || now < until
    }

    /// - Returns: `nil` when the try must not be made now.
    mutating func admit(at now: ContinuousClock.Instant) -> Pass? {
        switch state {
        case .closed: return Pass(isProbe: false)
        case .open(let until, let failures, false) where now >= until:
            state = .open(until: until, failures: failures, isProbing: true)
            return Pass(isProbe: true)
        case .open: return nil
        }
    }

    /// - Returns: whether the circuit opened or closed by it.
    @discardableResult
    mutating func settle(_ pass: Pass, _ outcome: Outcome, at now: ContinuousClock.Instant) -> Bool {
        let wasOpen = isOpen
        switch (outcome, state) {
        case (.answered, _): state = .closed(failures: 0)
        case (.failed, .closed(let failures)):
            state = failures + 1 < settings.failures ? .closed(failures: failures + 1) : opened(after: 1, at: now)
        case (.failed, .open(_, let failures, _)) where pass.isProbe: state = opened(after: failures + 1, at: now)
        case (.unknown, .open(let until, let failures, _)) where pass.isProbe:
            state = .open(until: until, failures: failures, isProbing: false)
        // Tries that began before it opened say nothing new, and a try that was cut short nothing at all.
        case (.failed, .open), (.unknown, _): break
        }
        return isOpen != wasOpen
    }
    private func opened(after failures: Int, at now: ContinuousClock.Instant) -> State {
        let backoff = Backoff(first: settings.firstPause, longest: settings.longestPause)
        // Not shortened: there is one probe for all calls of the process.
        return .open(
            until: now + backoff.pause(afterFailures: failures, chance: 1), failures: failures, isProbing: false)
    }
}
