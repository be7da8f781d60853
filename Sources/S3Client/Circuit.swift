// When not to ask a store any more, because it did not answer the last times. The rules alone; whoever uses them brings
// the time and the lock.

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
        case open(until: ContinuousClock.Instant, pause: Duration, isProbing: Bool)
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
        case .open(let until, let pause, false) where now >= until:
            state = .open(until: until, pause: pause, isProbing: true)
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
            let pause = min(settings.firstPause, settings.longestPause)
            state =
                failures + 1 < settings.failures
                ? .closed(failures: failures + 1)
                : .open(until: now + pause, pause: pause, isProbing: false)
        case (.failed, .open(_, let pause, _)) where pass.isProbe:
            let longer = min(pause * 2, settings.longestPause)
            state = .open(until: now + longer, pause: longer, isProbing: false)
        case (.unknown, .open(let until, let pause, _)) where pass.isProbe:
            state = .open(until: until, pause: pause, isProbing: false)
        // Tries that began before it opened say nothing new, and a try that was cut short nothing at all.
        case (.failed, .open), (.unknown, _): break
        }
        return isOpen != wasOpen
    }
}
