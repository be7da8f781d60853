// The answer to a question that takes long.

import Synchronization
import Testing

@testable import BlobHTTP

@Suite("Probe", .timeLimit(.minutes(1)))
struct ProbeTests {
    /// Questions that are answered when the test says so.
    private final class Asked: Sendable {
        private struct State {
            var count = 0
            var open: [CheckedContinuation<Int, Never>] = []
        }

        private let state = Mutex(State())

        var count: Int { state.withLock { $0.count } }

        func ask() async -> Int {
            await withCheckedContinuation { continuation in
                state.withLock { state in
                    state.count += 1
                    state.open.append(continuation)
                }
            }
        }

        /// Answers the open question, once there is one.
        func answer(_ value: Int) async {
            while true {
                if let open = state.withLock({ $0.open.popLast() }) { return open.resume(returning: value) }
                await Task.yield()
            }
        }
    }

    @Test("the answer of now is told where it comes in time")
    func inTime() async {
        let asked = Asked()
        let probe = Probe(freshness: .zero, patience: .seconds(600)) { await asked.ask() }
        for value in 1...3 {
            async let known = probe.known()
            await asked.answer(value)
            #expect(await known?.answer == value)
        }
        #expect(asked.count == 3)
    }

    @Test("the last answer is told while the next one is waited for, and nobody asks twice")
    func late() async throws {
        let asked = Asked()
        let probe = Probe(freshness: .zero, patience: .zero) { await asked.ask() }
        for _ in 0..<100 { #expect(await probe.known() == nil) }
        #expect(asked.count == 1)
        await asked.answer(1)
        while await probe.known()?.answer != 1 {}
        let first = try #require(await probe.known())
        for _ in 0..<100 { #expect(await probe.known()?.time == first.time) }
        #expect(asked.count == 2)
        await asked.answer(2)
        while await probe.known()?.answer != 2 {}
        #expect(try #require(await probe.known()).time > first.time)
    }

    @Test("however often it is asked for, an answer is told for as long as it is fresh")
    func fresh() async {
        let asked = Asked()
        let probe = Probe(freshness: .seconds(600), patience: .seconds(600)) { await asked.ask() }
        async let first = probe.known()
        await asked.answer(1)
        #expect(await first?.answer == 1)
        for _ in 0..<100 { #expect(await probe.known()?.answer == 1) }
        #expect(asked.count == 1)
    }
}
