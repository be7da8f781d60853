// How far long work has come, for people who wait for it.

import BlobCore
import Foundation
import Program

/// Counts bytes of a known total.
struct ByteProgress {
    /// In bytes.
    var total: Int64 = 0
    /// In bytes.
    private(set) var done: Int64 = 0
    private let start = ContinuousClock.now
    private var lastShown = ContinuousClock.now

    /// - Returns: whether it is time to show it again.
    mutating func add(_ byteCount: Int, showingEvery interval: Duration) -> Bool {
        done += Int64(byteCount)
        guard lastShown.duration(to: .now) >= interval else { return false }
        lastShown = .now
        return true
    }

    var seconds: Double { max(0.001, start.duration(to: .now) / .seconds(1)) }
    var bytesPerSecond: Double { Double(done) / seconds }
    var secondsLeft: Double { done > 0 ? Double(max(0, total - done)) / bytesPerSecond : 0 }

    /// Such as "12 % of 3.4 GiB, 120 MiB/s, 3m 5s left".
    var text: String {
        let share = total > 0 ? 100 * done / total : 0
        return "\(share) % of \(sizeText(total)), \(sizeText(Int64(bytesPerSecond)))/s, \(Self.time(secondsLeft)) left"
    }

    /// Such as "1h 2m 3s".
    static func time(_ seconds: Double) -> String {
        Duration.seconds(seconds.rounded()).formatted(.units(allowed: [.hours, .minutes, .seconds], width: .narrow))
    }
}
