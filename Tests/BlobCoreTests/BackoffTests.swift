// Pauses that grow.

import BlobCore
import Testing

@Suite struct BackoffTests {
    private let backoff = Backoff(first: .seconds(1), longest: .seconds(10))

    @Test(arguments: [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
    func eachIsTwiceAsLong(chance: Double, share: Double) {
        let pauses = (1...6).map { backoff.pause(afterFailures: $0, chance: chance) }
        #expect(pauses == [1, 2, 4, 8, 10, 10].map { .seconds($0 * share) })
    }

    @Test func manyFailuresAreNotTooMany() {
        #expect(backoff.pause(afterFailures: .max, chance: 1) == .seconds(10))
        let none = Backoff(first: .zero, longest: .zero)
        #expect(none.pause(afterFailures: 1) == .zero)
    }

    @Test func theRestIsChance() {
        let pauses = Set((0..<100).map { _ in backoff.pause(afterFailures: 3) })
        #expect(pauses.count > 1 && pauses.allSatisfy { (.seconds(2) ... .seconds(4)).contains($0) })
    }
}
