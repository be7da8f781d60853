// Which connections are open, and which of them goes first when there are too many.

/// Connections in the order in which they became idle. A connection without a request in flight is idle, also one that
/// has never sent anything. Each step costs the same, however many there are.
struct ConnectionLedger<Connection> {
    /// Names one connection and never another.
    struct Number {
        fileprivate let slot: Int
        fileprivate let id: UInt64
    }

    private struct Entry {
        let id: UInt64
        let connection: Connection
        var network: IPAddress?
        var requestCount = 0
        /// Told to go, and not gone yet.
        var isLeaving = false
        // The neighbours among the idle ones.
        var older: Int?
        var newer: Int?
        /// Rises from each that became idle to the next.
        var turn: UInt64 = 0
    }

    private var entries: [Entry?] = []
    private var unused: [Int] = []
    private var networks: [IPAddress: Set<Int>] = [:]
    private var oldest: Int?
    private var newest: Int?
    private var lastID: UInt64 = 0
    private var turn: UInt64 = 0
    /// The connections that stay.
    private(set) var count = 0
    private(set) var leavingCount = 0

    var hasIdle: Bool { oldest != nil }

    var connections: [Connection] { entries.compactMap { $0?.connection } }

    /// The connections of a client's network that stay.
    func count(of network: IPAddress) -> Int { networks[network]?.count ?? 0 }

    mutating func add(_ connection: Connection, from network: IPAddress?) -> Number {
        if unused.isEmpty {
            unused.append(entries.count)
            entries.append(nil)
        }
        let slot = unused.removeLast()
        lastID += 1
        entries[slot] = Entry(id: lastID, connection: connection, network: network)
        enter(slot)
        link(slot)
        return Number(slot: slot, id: lastID)
    }

    mutating func remove(_ number: Number) {
        guard let entry = self[number] else { return }
        if entry.isLeaving { leavingCount -= 1 } else { leave(number.slot) }
        entries[number.slot] = nil
        unused.append(number.slot)
    }

    /// Counts a connection for a network, of which it had none until now.
    mutating func assign(_ number: Number, to network: IPAddress) {
        guard let entry = self[number] else { return }
        assert(entry.network == nil)
        entries[number.slot]?.network = network
        if !entry.isLeaving { networks[network, default: []].insert(number.slot) }
    }

    /// A request has come on the connection.
    mutating func began(_ number: Number) {
        guard let entry = self[number] else { return }
        entries[number.slot]?.requestCount += 1
        if entry.requestCount == 0, !entry.isLeaving { unlink(number.slot) }
    }

    /// A request has been answered.
    mutating func ended(_ number: Number) {
        guard let entry = self[number] else { return }
        assert(entry.requestCount > 0)
        entries[number.slot]?.requestCount -= 1
        if entry.requestCount == 1, !entry.isLeaving { link(number.slot) }
    }

    /// Takes the connection that has been idle for longest for one that leaves.
    ///
    /// - Parameter network: whose connections to look at; `nil` for all.
    mutating func evictOldestIdle(of network: IPAddress? = nil) -> (Number, Connection)? {
        guard let slot = oldestIdle(of: network), let entry = entries[slot] else { return nil }
        leave(slot)
        entries[slot]?.isLeaving = true
        leavingCount += 1
        return (Number(slot: slot, id: entry.id), entry.connection)
    }

    private func oldestIdle(of network: IPAddress?) -> Int? {
        guard let network else { return oldest }
        return networks[network]?.filter { entries[$0]?.requestCount == 0 }
            .min { entries[$0]?.turn ?? 0 < entries[$1]?.turn ?? 0 }
    }

    /// Whether one that leaves has a request by now, and therefore stays.
    mutating func staysAfterAll(_ number: Number) -> Bool {
        guard let entry = self[number], entry.isLeaving, entry.requestCount > 0 else { return false }
        leavingCount -= 1
        entries[number.slot]?.isLeaving = false
        enter(number.slot)
        return true
    }

    private subscript(number: Number) -> Entry? {
        entries[number.slot].flatMap { $0.id == number.id ? $0 : nil }
    }

    // MARK: Lists

    private mutating func enter(_ slot: Int) {
        count += 1
        if let network = entries[slot]?.network { networks[network, default: []].insert(slot) }
    }

    private mutating func leave(_ slot: Int) {
        count -= 1
        if entries[slot]?.requestCount == 0 { unlink(slot) }
        guard let network = entries[slot]?.network else { return }
        networks[network]?.remove(slot)
        if networks[network]?.isEmpty == true { networks[network] = nil }
    }

    private mutating func link(_ slot: Int) {
        turn += 1
        entries[slot]?.turn = turn
        entries[slot]?.older = newest
        if let newest { entries[newest]?.newer = slot } else { oldest = slot }
        newest = slot
    }

    private mutating func unlink(_ slot: Int) {
        guard let entry = entries[slot] else { return }
        if let older = entry.older { entries[older]?.newer = entry.newer } else { oldest = entry.newer }
        if let newer = entry.newer { entries[newer]?.older = entry.older } else { newest = entry.older }
        entries[slot]?.older = nil
        entries[slot]?.newer = nil
    }
}
