// What callers who are not let in can write to the audit log.

import Testing

@testable import BlobHTTP

@Suite struct RefusedCallersTests {
    private let start = ContinuousClock.now

    @Test("whoever floods, and from however many addresses: few records, and no refusal is forgotten")
    func bound() throws {
        var refused = RefusedCallers(since: start)
        var told = 0
        for number in 0..<100_000 where refused.isTold("10.0.\(number / 256 % 256).\(number % 256)") { told += 1 }
        #expect(told == 60)
        let over = refused.over(at: start + .seconds(60), isLast: false)
        let (counts, duration) = try #require(over)
        #expect(duration == .seconds(60))
        #expect(counts.count <= 101)
        #expect(counts.reduce(told) { $0 + $1.count } == 100_000)
        let isToldAnew = refused.isTold("10.0.0.1")
        #expect(isToldAnew, "the next minute is another one")
    }

    @Test("an address has its records, whatever another one did, and then its number")
    func addresses() throws {
        var refused = RefusedCallers(since: start)
        let told = ((0..<1000).map { _ in "a" } + ["b", nil]).filter { refused.isTold($0) }
        #expect(told == ["a", "a", "a", "a", "a", "b", nil])
        let early = refused.over(at: start + .seconds(59), isLast: false)
        #expect(early?.counts.count == nil)
        let last = refused.over(at: start + .seconds(59), isLast: true)
        let (counts, _) = try #require(last)
        #expect(counts.map(\.address) == ["a"] && counts.map(\.count) == [995])
        let empty = refused.over(at: start + .seconds(200), isLast: false)
        #expect(empty?.counts.count == nil)
    }
}
