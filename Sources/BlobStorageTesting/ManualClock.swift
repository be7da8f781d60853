// The time of day of a test.

public import BlobStorage
public import struct Foundation.Date
private import Synchronization

/// A clock that stands still until it is moved.
///
/// It starts at a whole second and is best moved by whole multiples of 125 ms: these are exact as binary fractions, so
/// that a time survives being stored as a count of milliseconds and can be compared with `==`.
public final class ManualClock: WallClock {
    private let time: Mutex<Date>

    public init(now: Date = Date(timeIntervalSince1970: 1_750_000_000)) {
        time = Mutex(now)
    }

    public var now: Date { time.withLock { $0 } }

    /// Moves the clock, back with a negative duration.
    public func advance(by duration: Duration) {
        time.withLock { $0.addTimeInterval(duration / .seconds(1)) }
    }

    /// The time that is so much later than now.
    public func time(in duration: Duration) -> Date {
        now.addingTimeInterval(duration / .seconds(1))
    }
}
