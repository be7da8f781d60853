// Whose turn it is on an event loop.

import NIOCore
import Synchronization

/// The connections of one event loop that have had it for themselves long enough, and wait to go on.
///
/// What a client sends in one piece may hold thousands of requests: each costs little, and together they keep hundreds
/// of other connections waiting. After ``longest`` a connection therefore waits here. One of those that wait goes on at
/// a time, and in between the loop looks at its sockets. Belongs to its loop.
final class LoopTurns {
    static let longest = TimeAmount.milliseconds(1)
    /// A loop does what is due before it looks at its sockets. This is not due yet, whenever the loop looks.
    static let pause = TimeAmount.microseconds(50)

    private let loop: any EventLoop
    /// By which turns are measured.
    let now: () -> NIODeadline
    private var waiting = CircularBuffer<() -> Void>()

    init(on loop: any EventLoop, now: @escaping () -> NIODeadline = NIODeadline.now) {
        (self.loop, self.now) = (loop, now)
    }

    /// - Parameter goOn: called when it is the caller's turn again.
    func wait(_ goOn: @escaping () -> Void) {
        waiting.append(goOn)
        if waiting.count == 1 { scheduleNext() }
    }

    private func scheduleNext() {
        let this = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: Self.pause) { this.value.begin() }
    }

    private func begin() {
        // It stays first until its turn is over: what it does then is no reason to schedule another.
        waiting.first?()
        waiting.removeFirst()
        if !waiting.isEmpty { scheduleNext() }
    }
}

/// Those of all loops.
final class AllLoopTurns: Sendable {
    private let known = Mutex<[ObjectIdentifier: NIOLoopBound<LoopTurns>]>([:])

    /// - Precondition: called on the loop.
    func of(_ loop: any EventLoop) -> LoopTurns {
        known.withLock { known in
            let id = ObjectIdentifier(loop)
            let turns = known[id] ?? NIOLoopBound(LoopTurns(on: loop), eventLoop: loop)
            known[id] = turns
            return turns
        }.value
    }
}
