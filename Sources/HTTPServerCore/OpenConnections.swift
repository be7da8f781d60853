// The open connections of a server: how many there may be, and who has to go for a newcomer.

import NIOCore
import NIOSSL
import Synchronization

/// One connection, as those that count connections know it.
final class OpenConnection: Sendable {
    fileprivate let number: ConnectionLedger<any Channel>.Number
    private let all: OpenConnections

    fileprivate init(_ number: ConnectionLedger<any Channel>.Number, of all: OpenConnections) {
        (self.number, self.all) = (number, all)
    }

    /// A request is in flight until as many have ended.
    func requestBegan() { all.change { $0.began(number) } }

    /// Counts it for the client that its proxy has named.
    ///
    /// - Returns: `false` when that one has as many as it may, all of them busy.
    func belongs(to client: IPAddress) -> Bool { all.assign(number, to: client) }

    func requestEnded() { all.change { $0.ended(number) } }
}

/// Counts connections, and closes the one that has been idle for longest where there are too many.
final class OpenConnections: Sendable {
    private typealias Victim = (ConnectionLedger<any Channel>.Number, any Channel)

    private struct State {
        var ledger = ConnectionLedger<any Channel>()
        /// Those that have been admitted.
        var handles: [ObjectIdentifier: OpenConnection] = [:]
        var onRoom: (@Sendable () -> Void)?
    }

    private let most: Int
    private let mostPerNetwork: Int?
    private let proxies: TrustedProxies
    /// How many may be on their way out while others come in.
    private let mostLeaving: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - most: that may be open at one time.
    ///   - mostPerNetwork: the same for those of one client; `nil` for no limit.
    ///   - proxies: which are no clients.
    init(most: Int, mostPerNetwork: Int?, proxies: TrustedProxies) {
        (self.most, self.mostPerNetwork, self.proxies) = (most, mostPerNetwork, proxies)
        mostLeaving = max(1, min(32, most / 16))
    }

    // MARK: Newcomers

    /// What becomes of a newcomer.
    enum Admission: Equatable {
        case taken
        /// Taken in the place of another.
        case replacing
        /// There is no room while all are busy.
        case later
        /// Its client has as many connections as it may, all of them busy.
        case refused
    }

    /// Counts a newcomer, and closes the connection that has to go for it.
    ///
    /// - Parameter onRoom: called once, on any thread, when one that has to wait may be tried again.
    func admit(_ channel: any Channel, onRoom: @escaping @Sendable () -> Void) -> Admission {
        let network = channel.remoteAddress.flatMap(IPAddress.init).flatMap { limitedNetwork(of: $0) }
        let (admission, victim) = state.withLock { state in
            var victim: Victim?
            if let network, let mostPerNetwork, state.ledger.count(of: network) >= mostPerNetwork {
                victim = state.ledger.evictOldestIdle(of: network)
                if victim == nil { return (Admission.refused, victim) }
            } else if !hasRoom(state) {
                state.onRoom = onRoom
                return (.later, victim)
            } else if state.ledger.count >= most {
                victim = state.ledger.evictOldestIdle()
            }
            let number = state.ledger.add(channel, from: network)
            state.handles[ObjectIdentifier(channel)] = OpenConnection(number, of: self)
            return (victim == nil ? .taken : .replacing, victim)
        }
        if admission != .refused, admission != .later { channel.closeFuture.whenComplete { _ in self.remove(channel) } }
        if let victim { close(victim) }
        return admission
    }

    /// The network whose connections are limited together; `nil` without such a limit.
    private func limitedNetwork(of address: IPAddress) -> IPAddress? {
        mostPerNetwork == nil || proxies.contains(address) ? nil : address.network
    }

    /// Counts a connection that was admitted for the client that its proxy has named.
    ///
    /// - Returns: `false` when that one has as many as it may, all of them busy.
    fileprivate func assign(_ number: ConnectionLedger<any Channel>.Number, to client: IPAddress) -> Bool {
        guard let mostPerNetwork, let network = limitedNetwork(of: client) else { return true }
        let (isAdmitted, victim) = state.withLock { state in
            var victim: Victim?
            if state.ledger.count(of: network) >= mostPerNetwork {
                victim = state.ledger.evictOldestIdle(of: network)
                if victim == nil { return (false, victim) }
            }
            state.ledger.assign(number, to: network)
            return (true, victim)
        }
        if let victim { close(victim) }
        return isAdmitted
    }

    private func hasRoom(_ state: borrowing State) -> Bool {
        state.ledger.count < most || state.ledger.hasIdle && state.ledger.leavingCount < mostLeaving
    }

    /// One that was admitted; `nil` when it has been closed meanwhile.
    subscript(channel: any Channel) -> OpenConnection? {
        state.withLock { $0.handles[ObjectIdentifier(channel)] }
    }

    private func remove(_ channel: any Channel) {
        let (_, onRoom) = state.withLock { state in
            let handle = state.handles.removeValue(forKey: ObjectIdentifier(channel))
            if let handle { state.ledger.remove(handle.number) }
            return (handle, takeOnRoom(&state))
        }
        onRoom?()
    }

    fileprivate func change(_ change: (inout ConnectionLedger<any Channel>) -> Void) {
        let onRoom = state.withLock { state in
            change(&state.ledger)
            return takeOnRoom(&state)
        }
        onRoom?()
    }

    private func takeOnRoom(_ state: inout State) -> (@Sendable () -> Void)? {
        guard state.onRoom != nil, hasRoom(state) else { return nil }
        defer { state.onRoom = nil }
        return state.onRoom
    }

    // MARK: Closing

    /// Closes the connection that has been idle for longest, if there is one.
    func closeOldestIdle() {
        if let victim = state.withLock({ $0.ledger.evictOldestIdle() }) { close(victim) }
    }

    func closeAll() {
        for channel in state.withLock({ $0.ledger.connections }) { channel.close(promise: nil) }
    }

    private func close(_ victim: Victim) {
        let (number, channel) = victim
        channel.eventLoop.execute {
            guard !self.state.withLock({ $0.ledger.staysAfterAll(number) }) else { return }
            // TLS would wait for the other end to say goodbye, and a newcomer waits for this.
            let secured = try? channel.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
            if let secured { secured.close(promise: nil) } else { channel.close(promise: nil) }
        }
    }
}
