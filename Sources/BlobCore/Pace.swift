// How fast bytes may go.

import Synchronization

/// Lets so many bytes through in a second, those of all who share it together.
public final class Pace: Sendable {
    private let bytesPerSecond: Int64
    /// When all that was let through is over.
    private let end = Mutex(ContinuousClock.now)

    public init(bytesPerSecond: Int64) {
        self.bytesPerSecond = max(1, bytesPerSecond)
    }

    /// What goes at once: a quarter of a second's bytes, so that a slow way is used evenly, and 4 to 256 KiB.
    public var stepByteCount: Int { Int(min(max(bytesPerSecond / 4, 4 << 10), 256 << 10)) }

    /// Waits until so many more bytes may go.
    ///
    /// - Throws: `CancellationError`, at once, in a task that was cancelled.
    public func wait(for count: Int) async throws {
        let start = end.withLock { end in
            let start = max(end, .now)
            end = start + .seconds(Double(count) / Double(bytesPerSecond))
            return start
        }
        try await Task.sleep(until: start)
    }
}
