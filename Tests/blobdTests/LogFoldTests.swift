// Lines that come again and again: told at once, counted, and never taken for one another.

import BlobStorage
import Logging
import Synchronization
import Testing

@testable import blobd

struct LogFoldTests {
    /// A fold whose time stands still, and the lines that it has written.
    private final class Scene: Sendable {
        private struct State {
            var lines: [String] = []
            var now = ContinuousClock.now
            var waiting: [@Sendable () -> Void] = []
        }

        private let state = Mutex(State())

        var lines: [String] { state.withLock { $0.lines } }

        func fold() -> LogFold {
            LogFold(
                now: { self.state.withLock { $0.now } },
                later: { delay, body in
                    #expect(delay == .seconds(60))
                    self.state.withLock { $0.waiting.append(body) }
                },
                write: { entry in
                    let line = String(decoding: entry.line(.text), as: UTF8.self)
                    // Without the time.
                    self.state.withLock { $0.lines.append(String(line.dropFirst(25).dropLast())) }
                }
            )
        }

        /// Makes the waiting lines due.
        func pass(_ time: Duration) {
            let waiting = state.withLock { state in
                state.now += time
                defer { state.waiting = [] }
                return state.waiting
            }
            for body in waiting { body() }
        }
    }

    private let scene = Scene()

    private func entry(
        _ message: String, _ level: Logger.Level = .error, _ metadata: Logger.Metadata = [:]
    ) -> LogEntry {
        LogEntry(
            time: .now, level: level, message: message,
            metadata: metadata.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 })
    }

    @Test func theFirstIsTold_theRestAreCounted() {
        let fold = scene.fold()
        for _ in 0..<308 { fold.take(entry("failed", .error, ["errno": "24"])) }
        #expect(scene.lines == ["error failed errno=24"], "at once, and once")
        scene.pass(.seconds(60))
        #expect(scene.lines == ["error failed errno=24", "error failed (307 more times in 60 s) errno=24"])
        fold.take(entry("failed", .error, ["errno": "24"]))
        #expect(scene.lines.count == 3, "after the minute it is told again")
        scene.pass(.seconds(60))
        #expect(scene.lines.count == 3, "nothing has come again")
    }

    @Test func whatDiffersAtAllIsTold() {
        let fold = scene.fold()
        let different = [
            entry("failed"), entry("failed", .warning), entry("failed", .critical), entry("failed "),
            entry("failed", .error, ["errno": "24"]), entry("failed", .error, ["errno": "5"]),
            entry("failed errno=5"), entry("failed", .error, ["errno": "5", "path": "a"]),
        ]
        for _ in 0..<2 { different.forEach(fold.take) }
        #expect(scene.lines.count == different.count)
        scene.pass(.seconds(60))
        #expect(scene.lines.count == 2 * different.count)
        #expect(scene.lines.suffix(different.count).allSatisfy { $0.contains("(1 more times in 60 s)") })
    }

    @Test func whatIsNoWarningIsNotFolded() {
        let fold = scene.fold()
        for _ in 0..<3 { fold.take(entry("request", .info)) }
        #expect(scene.lines.count == 3)
    }

    @Test func moreThanCanBeWatchedIsTold() {
        let fold = scene.fold()
        for _ in 0..<2 {
            for number in 0..<300 { fold.take(entry("failed", .error, ["number": .stringConvertible(number)])) }
        }
        #expect(scene.lines.count == 300 + 44, "256 are watched")
    }

    @Test func theEndTellsWhatWasCounted() {
        let fold = scene.fold()
        for _ in 0..<3 { fold.take(entry("failed")) }
        fold.flush()
        #expect(scene.lines == ["error failed", "error failed (2 more times in 0 s)"])
        scene.pass(.seconds(60))
        #expect(scene.lines.count == 2)
    }
}
