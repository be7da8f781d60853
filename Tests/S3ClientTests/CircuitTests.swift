// When the store is no longer asked, and when again; and how long pauses are. The clock is the test's.

import Testing

@testable import S3Client

@Suite("Circuit and pauses")
struct CircuitTests {
    private static let start = ContinuousClock.now

    /// A circuit that opens after three failures, for 1, 2 and then 3 seconds.
    private static var circuit: Circuit {
        var settings = S3Configuration.CircuitBreaking()
        (settings.failures, settings.firstPause, settings.longestPause) = (3, .seconds(1), .seconds(3))
        return Circuit(settings)
    }

    /// Makes one try after these seconds.
    private static func attempt(
        _ circuit: inout Circuit, at seconds: Double, _ outcome: Circuit.Outcome
    ) -> Bool {
        guard let pass = circuit.admit(at: start + .seconds(seconds)) else { return false }
        circuit.settle(pass, outcome, at: start + .seconds(seconds))
        return true
    }

    @Test("it opens after failures in a row")
    func opening() {
        var circuit = Self.circuit
        for outcome in [Circuit.Outcome.failed, .failed, .answered, .failed, .unknown, .failed] {
            #expect(Self.attempt(&circuit, at: 0, outcome) && !circuit.isOpen)
        }
        #expect(Self.attempt(&circuit, at: 0, .failed) && circuit.isOpen)
        #expect(!Self.attempt(&circuit, at: 0.99, .answered))
        #expect(Self.attempt(&circuit, at: 1, .answered) && !circuit.isOpen)
        #expect(Self.attempt(&circuit, at: 1, .failed) && Self.attempt(&circuit, at: 1, .failed) && !circuit.isOpen)
    }

    @Test("probes come one at a time, and further and further apart")
    func probing() throws {
        var circuit = Self.circuit
        for _ in 0..<3 { _ = Self.attempt(&circuit, at: 0, .failed) }
        let admitted = circuit.admit(at: Self.start + .seconds(1))
        let probe = try #require(admitted)
        #expect(probe.isProbe)
        #expect(!Self.attempt(&circuit, at: 100, .answered), "while the probe runs")
        circuit.settle(probe, .failed, at: Self.start + .seconds(101))
        #expect(!Self.attempt(&circuit, at: 102.9, .answered))
        #expect(Self.attempt(&circuit, at: 103, .failed), "two seconds later")
        #expect(!Self.attempt(&circuit, at: 105.9, .answered))
        #expect(Self.attempt(&circuit, at: 106, .failed), "three")
        #expect(!Self.attempt(&circuit, at: 108.9, .answered))
        #expect(Self.attempt(&circuit, at: 109, .answered) && !circuit.isOpen, "and never more")
    }

    @Test("a probe that is cancelled makes room for the next")
    func cancelledProbe() {
        var circuit = Self.circuit
        for _ in 0..<3 { _ = Self.attempt(&circuit, at: 0, .failed) }
        #expect(Self.attempt(&circuit, at: 1, .unknown) && circuit.isOpen)
        #expect(Self.attempt(&circuit, at: 1, .answered) && !circuit.isOpen)
    }

    @Test("what began before it opened opens it no longer, but can close it")
    func latecomers() {
        var circuit = Self.circuit
        let early = (0..<6).compactMap { _ in circuit.admit(at: Self.start) }
        var changes: [Bool] = []
        for pass in early.dropLast() { changes.append(circuit.settle(pass, .failed, at: Self.start)) }
        #expect(changes == [false, false, true, false, false])
        let probe = circuit.admit(at: Self.start + .seconds(1))
        #expect(probe?.isProbe == true, "after the first pause still")
        #expect(circuit.settle(early[5], .answered, at: Self.start + .seconds(1)) && !circuit.isOpen)
        #expect(Self.attempt(&circuit, at: 1, .answered))
    }

    // MARK: Pauses

    private static func settings() -> S3Configuration.Retries {
        var settings = S3Configuration.Retries()
        (settings.tries, settings.firstPause, settings.longestPause) = (7, .seconds(1), .seconds(10))
        settings.totalTime = .seconds(100)
        return settings
    }

    @Test("pauses double up to the longest, in a bounded number", arguments: [0, 0.25, 1])
    func pauses(_ chance: Double) {
        var schedule = RetrySchedule(Self.settings(), from: Self.start)
        let pauses = (0..<8).map { _ in schedule.pause(at: Self.start, chance: chance) }
        let share = 0.5 + chance / 2
        #expect(pauses == [1, 2, 4, 8, 10, 10].map { .seconds($0 * share) } + [nil, nil])
        schedule.progressed()
        #expect(schedule.pause(at: Self.start, chance: chance) == .seconds(share))
    }

    @Test("no pause ends after the total time")
    func totalTime() {
        var schedule = RetrySchedule(Self.settings(), from: Self.start)
        #expect(schedule.pause(at: Self.start + .seconds(98.9), chance: 1) == .seconds(1))
        #expect(schedule.pause(at: Self.start + .seconds(98.1), chance: 1) == nil)
        #expect(schedule.pause(at: Self.start + .seconds(101), chance: 0) == nil)
    }
}
