// How many requests a caller may make.

import BlobCore
public import BlobStorage
import Foundation
import HTTPServerCore
import Synchronization

/// So many requests within a time: at once after a pause, and then as fast as that time gives them back.
public struct RequestRate: Equatable, Sendable {
    public let count: Int
    public let period: Duration

    /// - Precondition: both are positive.
    public init(count: Int, per period: Duration) {
        precondition(count > 0 && period > .zero)
        (self.count, self.period) = (count, period)
    }
}

/// A token bucket for each key, by the generic cell rate algorithm (ITU-T I.371): a bucket is the time at which it will
/// be full.
///
/// Memory is bounded: of the keys that were not used while half of the capacity others came, none is remembered. They
/// begin with a full bucket, which whoever has so many keys has anyway.
final class RateLimiter<Key: Hashable & Sendable>: Sendable {
    private struct State {
        /// In nanoseconds, so that a sum of many small times is exact.
        var recent: [Key: Int64] = [:]
        var older: [Key: Int64] = [:]
    }

    /// In nanoseconds; so is the cost of one request.
    private let period: Int64
    private let cost: Int64
    private let capacity: Int
    private let clock: any WallClock
    private let state = Mutex(State())

    init(_ rate: RequestRate, capacity: Int = 65_536, clock: any WallClock) {
        period = Int64(rate.period / .nanoseconds(1))
        cost = max(1, period / Int64(rate.count))
        (self.capacity, self.clock) = (capacity, clock)
    }

    var keyCount: Int { state.withLock { $0.recent.count + $0.older.count } }

    /// Takes one request out of a key's bucket.
    ///
    /// - Returns: `nil` if there was one; otherwise the seconds until there is.
    func take(_ key: Key) -> TimeInterval? {
        let now = Self.nanoseconds(clock.now)
        return state.withLock { state in
            let remembered = state.recent[key] ?? state.older[key] ?? now
            // Never later than an empty bucket's, also when the clock was set back.
            let full = min(max(remembered, now), now + period)
            let wait = full - now + cost - period
            if wait <= 0 {
                remember(full + cost, for: key, in: &state)
            } else if full < remembered {
                remember(full, for: key, in: &state)
            }
            return wait <= 0 ? nil : TimeInterval(wait) / 1_000_000_000
        }
    }

    private func remember(_ time: Int64, for key: Key, in state: inout State) {
        if state.recent.count >= capacity / 2, state.recent[key] == nil {
            state.older = state.recent
            state.recent = [:]
        }
        state.recent[key] = time
    }

    /// Of a date within three hundred years.
    private static func nanoseconds(_ date: Date) -> Int64 {
        Int64(min(max(date.timeIntervalSinceReferenceDate, -9_000_000_000), 9_000_000_000) * 1_000_000_000)
    }
}

/// The rates that callers have to keep to.
public struct RateLimits: Sendable {
    private let subjects: RateLimiter<Subject>?
    private let networks: RateLimiter<IPAddress>?

    /// - Parameters:
    ///   - perSubject: of all requests with a subject's tokens; `nil` for no limit.
    ///   - perAddress: of all requests of one client, an IPv4 address or an IPv6 network of /64; `nil` for no limit.
    public init(perSubject: RequestRate?, perAddress: RequestRate?, clock: any WallClock) {
        subjects = perSubject.map { RateLimiter($0, clock: clock) }
        networks = perAddress.map { RateLimiter($0, clock: clock) }
    }

    func admit(_ subject: Subject) throws(WireError) {
        if let wait = subjects?.take(subject) { throw .tooManyRequests(of: "this token's subject", wait) }
    }

    func admit(_ client: IPAddress?) throws(WireError) {
        guard let network = client?.network else { return }
        if let wait = networks?.take(network) { throw .tooManyRequests(of: "your address", wait) }
    }
}

extension WireError {
    fileprivate static func tooManyRequests(of caller: String, _ wait: TimeInterval) -> WireError {
        let seconds = max(1, Int(min(wait, 86_400).rounded(.up)))
        return WireError(
            .tooManyRequests, "There were more requests of \(caller) than the server takes; try again in \(seconds) s.",
            detail: .retryAfter(seconds: seconds)
        )
    }
}
