// A clock that goes on though the machine's is set.

import Foundation
import Logging
import Synchronization
import Testing

@testable import BlobStorage

@Suite struct SteadyClockTests {
    /// A machine whose two clocks a test moves.
    private final class Machine: Sendable {
        let wall: Mutex<Date>
        let steady = Mutex(Duration.zero)

        init(_ wall: Date) {
            self.wall = Mutex(wall)
        }

        func pass(_ duration: Duration) {
            wall.withLock { $0.addTimeInterval(duration / .seconds(1)) }
            steady.withLock { $0 += duration }
        }

        func set(by seconds: TimeInterval) {
            wall.withLock { $0.addTimeInterval(seconds) }
        }

        func clock() -> SteadyClock {
            SteadyClock(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, wall: { self.wall.withLock { $0 } },
                steady: { self.steady.withLock { $0 } }
            )
        }
    }

    private static let start = Date(timeIntervalSince1970: 1_790_000_000)
    private static let day: TimeInterval = 86_400

    @Test func goesWithTheMachine() {
        let machine = Machine(Self.start)
        let clock = machine.clock()
        for _ in 0..<3 {
            machine.pass(.seconds(86_400))
            #expect(clock.now == machine.wall.withLock { $0 })
        }
    }

    @Test(arguments: [60, 1, -1, -60] as [TimeInterval])
    func followsSmallCorrections(seconds: TimeInterval) {
        let machine = Machine(Self.start)
        let clock = machine.clock()
        for number in 1...5 {
            machine.set(by: seconds)
            #expect(clock.now == Self.start.addingTimeInterval(seconds * TimeInterval(number)))
        }
    }

    @Test(arguments: [61, -61, 400 * day, -400 * day])
    func goesOnThroughAJump(seconds: TimeInterval) {
        let machine = Machine(Self.start)
        let clock = machine.clock()
        machine.set(by: seconds)
        #expect(clock.now == Self.start)
        machine.pass(.seconds(1000))
        #expect(clock.now == Self.start.addingTimeInterval(1000))
        // Set right again: both agree, and small corrections count anew.
        machine.set(by: -seconds)
        #expect(clock.now == Self.start.addingTimeInterval(1000))
        machine.set(by: 5)
        #expect(clock.now == Self.start.addingTimeInterval(1005))
    }

    @Test func aClockThatWasNeverSetJumpsToThePresent() {
        let machine = Machine(Date(timeIntervalSince1970: 100))
        let clock = machine.clock()
        machine.set(by: Self.start.timeIntervalSince1970)
        #expect(clock.now == Self.start.addingTimeInterval(100))
        machine.set(by: -400 * Self.day)
        #expect(clock.now == Self.start.addingTimeInterval(100))
    }
}
