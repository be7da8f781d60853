// How often a call was tried, and how long to wait before the next time.

import BlobCore

/// Growing pauses, bounded in number and in time.
struct RetrySchedule: Sendable {
    private let settings: S3Configuration.Retries
    /// When the call has to be over.
    let end: ContinuousClock.Instant
    private var failures = 0

    init(_ settings: S3Configuration.Retries, from start: ContinuousClock.Instant) {
        self.settings = settings
        end = start + settings.totalTime
    }

    /// Something got further: the next failure is the first again.
    mutating func progressed() {
        failures = 0
    }

    /// How long to wait after a failure that may pass.
    ///
    /// - Parameter chance: 0 to 1, at random.
    /// - Returns: `nil` when it must not be tried again.
    mutating func pause(at now: ContinuousClock.Instant, chance: Double) -> Duration? {
        failures += 1
        guard failures < settings.tries else { return nil }
        let backoff = Backoff(first: settings.firstPause, longest: settings.longestPause)
        let pause = backoff.pause(afterFailures: failures, chance: chance)
        return now + pause < end ? pause : nil
    }
}
