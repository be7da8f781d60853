// What answers may hold, without an answer.

import Testing

@testable import HTTPServerCore

@Suite struct AnswerBudgetTests {
    @Test func sharesShrinkWithTheirNumber() {
        let budget = AnswerBudget(32 << 20)
        #expect(budget.chunkByteCount == 256 << 10)
        for _ in 0..<64 { budget.join() }
        #expect(budget.chunkByteCount == 256 << 10)
        for _ in 64..<1024 { budget.join() }
        #expect(budget.chunkByteCount == 16 << 10)
        for _ in 1024..<100_000 { budget.join() }
        #expect(budget.chunkByteCount == 4 << 10, "and never to nothing")
        for _ in 0..<100_000 { budget.leave() }
        #expect(budget.chunkByteCount == 256 << 10)
    }

    @Test func aPartIsBoundedByTheWhole() {
        let whole = AnswerBudget(32 << 20)
        let (part, other) = (AnswerBudget(1 << 20, within: whole), AnswerBudget(1 << 20, within: whole))
        for _ in 0..<16 { part.join() }
        #expect(part.chunkByteCount == 32 << 10)
        #expect(other.chunkByteCount == 256 << 10)
        for _ in 0..<2048 { other.join() }
        #expect(part.chunkByteCount < 32 << 10)
    }

    @Test func whoHoldsItsPartWaits() {
        let whole = AnswerBudget(2 << 20)
        let (part, other) = (AnswerBudget(1 << 20, within: whole), AnswerBudget(8 << 20, within: whole))
        part.join(holding: (1 << 20) - 1)
        #expect(part.hasRoom)
        part.join(holding: 1)
        #expect(!part.hasRoom && other.hasRoom)
        part.leave(holding: 1)
        other.join(holding: 1 << 20)
        #expect(part.hasRoom)
        other.join(holding: 1)
        #expect(!part.hasRoom, "the whole is given away")
        part.leave(holding: (1 << 20) - 1)
        part.join(holding: 1000)
        other.join(holding: 1 << 20)
        #expect(part.hasRoom, "a little, everybody may have")
    }
}
