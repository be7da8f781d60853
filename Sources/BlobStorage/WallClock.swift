// The time of day, injected, so that tests can move it.

public import struct Foundation.Date
public import struct Foundation.TimeInterval
public import Logging
import Synchronization

/// Tells the time of day.
public protocol WallClock: Sendable {
    var now: Date { get }
}

/// The machine's clock.
public struct SystemClock: WallClock {
    public init() {}

    public var now: Date { Date() }
}

/// The machine's clock without its jumps.
///
/// An upload, file or token that lives for days must not end because somebody set the clock, or a broken time server
/// did. Small corrections are followed. A jump by more than a minute, either way, is not: time goes on from where it
/// was, by the clock that cannot be set, until the process is started again. Only a clock that had never been set, as
/// of a machine without a battery, may jump forward to the present.
public final class SteadyClock: WallClock {
    private struct Anchor {
        var wall: Date
        var steady: Duration
        /// The jump that was logged, so that it is logged once.
        var reportedJump: TimeInterval = 0
    }

    private static let largestCorrection: TimeInterval = 60
    /// 2025-01-01: no machine that runs this was right about a time before it.
    private static let earliestPresent = Date(timeIntervalSince1970: 1_735_689_600)

    private let anchor: Mutex<Anchor>
    private let wall: @Sendable () -> Date
    private let steady: @Sendable () -> Duration
    private let logger: Logger

    public convenience init(logger: Logger) {
        let start = ContinuousClock.now
        self.init(logger: logger, wall: { Date() }, steady: { start.duration(to: .now) })
    }

    /// - Parameters:
    ///   - wall: the time of day, which may jump.
    ///   - steady: the time since some moment, which only goes on.
    init(logger: Logger, wall: @escaping @Sendable () -> Date, steady: @escaping @Sendable () -> Duration) {
        self.logger = logger
        self.wall = wall
        self.steady = steady
        anchor = Mutex(Anchor(wall: wall(), steady: steady()))
    }

    public var now: Date {
        anchor.withLock { anchor in
            let (wall, steady) = (wall(), steady())
            let expected = anchor.wall.addingTimeInterval((steady - anchor.steady) / .seconds(1))
            let jump = wall.timeIntervalSince(expected)
            if abs(jump) <= Self.largestCorrection || expected < Self.earliestPresent && jump > 0 {
                anchor = Anchor(wall: wall, steady: steady)
                return wall
            }
            if abs(jump - anchor.reportedJump) > Self.largestCorrection {
                anchor.reportedJump = jump
                logger.warning(
                    "the machine's clock was set; the server goes on by its own until it is started again",
                    metadata: ["by_seconds": "\(jump.rounded())"]
                )
            }
            return expected
        }
    }
}
