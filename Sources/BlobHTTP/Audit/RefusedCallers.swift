// Bounds what callers who are not let in can write to the audit log.

/// Within a minute, the first refusals of an address have records, as long as there are not too many of all; the others
/// are counted, by address for as many addresses as are remembered.
///
/// So a flood of bad tokens makes at most 161 records a minute, about 40 KB, and waits for no more syncs than that.
struct RefusedCallers {
    private static let window = Duration.seconds(60)
    /// Of one address, and of all.
    private static let mostTold = (each: 5, all: 60)
    /// Addresses that are remembered at one time.
    private static let capacity = 100

    private struct Caller {
        var told = 0
        var counted = 0
    }

    private var start: ContinuousClock.Instant
    private var callers: [String: Caller] = [:]
    private var toldCount = 0
    /// Those of addresses that are not remembered.
    private var othersCount = 0

    init(since start: ContinuousClock.Instant) {
        self.start = start
    }

    /// Whether a refusal has a record of its own. Counts it where not.
    ///
    /// - Parameter address: of the caller; `nil` where nobody knows.
    mutating func isTold(_ address: String?) -> Bool {
        let told = callers[address ?? ""]?.told ?? 0
        guard told < Self.mostTold.each, toldCount < Self.mostTold.all, remembers(address) else {
            count(address)
            return false
        }
        callers[address ?? "", default: Caller()].told += 1
        toldCount += 1
        return true
    }

    /// Counts refusals that have no record.
    mutating func count(_ address: String?, _ number: Int = 1) {
        if remembers(address) {
            callers[address ?? "", default: Caller()].counted += number
        } else {
            othersCount += number
        }
    }

    private func remembers(_ address: String?) -> Bool {
        callers[address ?? ""] != nil || callers.count < Self.capacity
    }

    /// Begins another minute, if this one is over.
    ///
    /// - Returns: the numbers of refusals without a record of the minute that is over, in the order of the addresses,
    ///   and how long it was; `nil` where there are none.
    mutating func over(
        at now: ContinuousClock.Instant, isLast: Bool
    ) -> (counts: [(address: String?, count: Int)], Duration)? {
        let duration = start.duration(to: now)
        guard duration >= Self.window || isLast else { return nil }
        defer { self = RefusedCallers(since: now) }
        var counts: [(address: String?, count: Int)] = callers.filter { $0.value.counted > 0 }
            .sorted { $0.key < $1.key }.map { ($0.key.isEmpty ? nil : $0.key, $0.value.counted) }
        if othersCount > 0 { counts.append((nil, othersCount)) }
        return counts.isEmpty ? nil : (counts, duration)
    }
}
