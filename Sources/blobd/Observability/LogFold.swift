// Keeps a line that comes again and again from filling the log.

import Dispatch
import Logging
import Synchronization

/// Writes the first of equal lines at once, counts those that follow within a minute, and then tells their number.
///
/// Lines are equal when all but their time is: level, message, and every key with its value. So no error can hide
/// another. Only warnings and worse are folded; the lines of requests, each with an id of its own, never are.
final class LogFold: Sendable {
    private struct Repetition {
        let entry: LogEntry
        let start: ContinuousClock.Instant
        var count = 0
    }

    private static let window = Duration.seconds(60)
    /// Different lines that are watched at one time. Others are written as they come: memory is bounded, and nothing is
    /// hidden.
    private static let capacity = 256

    private let now: @Sendable () -> ContinuousClock.Instant
    private let later: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    private let write: @Sendable (LogEntry) -> Void
    private let repetitions = Mutex<[[UInt8]: Repetition]>([:])

    /// - Parameters:
    ///   - later: runs something once, after a time.
    ///   - write: takes finished lines; must not log.
    init(
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        later: @escaping @Sendable (Duration, @escaping @Sendable () -> Void) -> Void = { delay, body in
            DispatchQueue.global().asyncAfter(deadline: .now() + delay / .seconds(1), execute: body)
        },
        write: @escaping @Sendable (LogEntry) -> Void
    ) {
        self.now = now
        self.later = later
        self.write = write
    }

    @Sendable func take(_ entry: LogEntry) {
        guard entry.level >= .warning else { return write(entry) }
        let key = entry.content
        let isNew = repetitions.withLock { repetitions -> Bool? in
            guard repetitions[key] == nil else {
                repetitions[key]?.count += 1
                return false
            }
            guard repetitions.count < Self.capacity else { return nil }
            repetitions[key] = Repetition(entry: entry, start: now())
            return true
        }
        if isNew != false { write(entry) }
        if isNew == true { later(Self.window) { self.end(key) } }
    }

    /// Tells the counts so far at once.
    func flush() {
        let keys = repetitions.withLock { $0.keys.sorted { $0.lexicographicallyPrecedes($1) } }
        for key in keys { end(key) }
    }

    private func end(_ key: [UInt8]) {
        guard let repetition = repetitions.withLock({ $0.removeValue(forKey: key) }), repetition.count > 0 else {
            return
        }
        let seconds = Int((repetition.start.duration(to: now()) / .seconds(1)).rounded(.up))
        write(
            LogEntry(
                time: .now, level: repetition.entry.level,
                message: "\(repetition.entry.message) (\(repetition.count) more times in \(seconds) s)",
                metadata: repetition.entry.metadata
            )
        )
    }
}

extension LogEntry {
    /// All but the time, in a form in which no two different lines look alike.
    fileprivate var content: [UInt8] {
        LogEntry(time: .zero, level: level, message: message, metadata: metadata).line(.json)
    }
}
