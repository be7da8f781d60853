// What an HTTP/2 connection has received of requests' bodies and nobody has taken yet, and when it stops to read.

import NIOCore
import Synchronization

/// The bytes of one HTTP/2 connection's bodies that wait for their consumers.
///
/// HTTP/2's own windows (RFC 9113 §5.2) must be as large as what a path has under way, or they slow it down; so large,
/// they bound no memory. This does: while more waits than ``BodyBudget/backlogByteCount``, the connection is not read,
/// and TCP slows its client down, as in HTTP/1.1. Until it is read again, all of its streams wait for the slow one.
final class ConnectionBacklog: Sendable {
    private struct State {
        var byteCount = 0
        var isFull = false
    }

    private let state = Mutex(State())
    private let budget: BodyBudget
    private let gate: NIOLoopBound<HTTP2Gate>

    init(budget: BodyBudget, gate: NIOLoopBound<HTTP2Gate>) {
        (self.budget, self.gate) = (budget, gate)
    }

    /// Whether the connection is not read until some of the waiting bytes have been taken.
    var isFull: Bool { state.withLock { $0.isFull } }

    func add(_ byteCount: Int) {
        change(by: byteCount)
    }

    func remove(_ byteCount: Int) {
        change(by: -byteCount)
    }

    private func change(by byteCount: Int) {
        let limit = budget.backlogByteCount
        let hasTurned = state.withLock { state in
            state.byteCount += byteCount
            assert(state.byteCount >= 0)
            // Not back at the limit itself: it would be passed again with the next read.
            let isFull = state.byteCount > (state.isFull ? limit / 2 : limit)
            defer { state.isFull = isFull }
            return isFull != state.isFull
        }
        // By the time this runs it may have turned again: the state then counts.
        if hasTurned { gate.eventLoop.execute { self.gate.value.isOpen = !self.isFull } }
    }
}
