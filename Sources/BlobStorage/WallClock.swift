// The time of day, injected, so that tests can move it.

public import struct Foundation.Date

/// Tells the time of day.
public protocol WallClock: Sendable {
    var now: Date { get }
}

/// The machine's clock.
public struct SystemClock: WallClock {
    public init() {}

    public var now: Date { Date() }
}
