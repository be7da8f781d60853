// How long to wait before something that failed is tried again.

/// Pauses that grow: each twice as long as the one before it, up to the longest. Each is shortened at random by up to a
/// half, so that those that failed together do not come back together.
public struct Backoff: Equatable, Sendable {
    public var first: Duration
    public var longest: Duration

    public init(first: Duration, longest: Duration) {
        (self.first, self.longest) = (first, longest)
    }

    /// - Parameters:
    ///   - failures: in a row, this one among them; at least 1.
    ///   - chance: 0 to 1, at random: 0 for the shortest pause.
    public func pause(afterFailures failures: Int, chance: Double = .random(in: 0...1)) -> Duration {
        // Twice as often would not fit for long.
        let whole = min(first * (1 << min(failures - 1, 20)), longest)
        return whole * (0.5 + chance / 2)
    }
}
