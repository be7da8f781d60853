// Which call runs when, and on which thread.

import Dispatch
import Foundation
import Metrics
import Synchronization

/// A call could not be run, because its thread had no connection and could not get one.
struct NoConnection: Error {
    let error: PostgresError
}

/// Something to do with a connection. Either `run` returns or `fail` is called, once.
struct Call: Sendable {
    /// Until when it may wait for a connection.
    let deadline: ContinuousClock.Instant
    /// Runs it and tells its caller.
    let run: @Sendable (ConnectionWorker) throws(NoConnection) -> Void
    /// Tells its caller that it was not run.
    let fail: @Sendable (PostgresError) -> Void
}

/// Gives calls to threads, in the order in which they came.
///
/// A thread that was busy last gets the next call: so the others' connections become idle, and are closed.
final class CallQueue: Sendable {
    /// A thread's place to wait at.
    private final class Seat: Sendable {
        let wakeUp = DispatchSemaphore(value: 0)
        let call = Mutex<Call?>(nil)
        let isConnected = Mutex(false)
    }

    private struct State {
        var waiting: [Call] = []
        /// Whether somebody looks after the deadlines of waiting calls.
        var isWatched = false
        /// The threads that have nothing to do; the last one stopped last.
        var idle: [Seat] = []
        var threads = 0
        var connections = 0
        var isClosed = false
        var closers: [@Sendable () -> Void] = []

        /// Takes a thread that can run a call.
        ///
        /// - Parameter needsConnection: whether one without a connection is of no use.
        mutating func takeSeat(needsConnection: Bool) -> Seat? {
            if let index = idle.lastIndex(where: { $0.isConnected.withLock(\.self) }) { return idle.remove(at: index) }
            return needsConnection ? nil : idle.popLast()
        }
    }

    private let state = Mutex(State())
    private let opener: ConnectionOpener
    private let mostThreads: Int
    private let limit: Int
    private let idleLimit: Duration
    private let connections = Gauge(label: "blobd_postgres_connections")
    private let connectionsInUse = Gauge(label: "blobd_postgres_connections_in_use")
    private let callsWaiting = Gauge(label: "blobd_postgres_calls_waiting")

    init(opener: ConnectionOpener, connections: Int, limit: Int, idleLimit: Duration) {
        self.opener = opener
        mostThreads = connections
        self.limit = limit
        self.idleLimit = idleLimit
    }

    /// Takes a call, which runs as soon as there is a thread for it.
    func add(_ call: Call) {
        enum Place {
            case seat(Seat), newThread, queue(needsWatch: Bool), nowhere(PostgresError)
        }
        let isAway = opener.availability.isAway
        let place: Place = state.withLock { state in
            guard !state.isClosed else { return .nowhere(.closed) }
            // While the server takes no new connections, those that there are serve all.
            let needsConnection = isAway && state.connections > 0
            if state.waiting.isEmpty || isAway, let seat = state.takeSeat(needsConnection: needsConnection) {
                return .seat(seat)
            }
            if state.threads < mostThreads, !needsConnection {
                state.threads += 1
                return .newThread
            }
            guard state.waiting.count < limit else {
                return .nowhere(PostgresError(.busy, "Too many calls wait for a connection to the database."))
            }
            state.waiting.append(call)
            defer { state.isWatched = true }
            return .queue(needsWatch: !state.isWatched)
        }
        switch place {
        case .seat(let seat):
            seat.call.withLock { $0 = call }
            seat.wakeUp.signal()
        case .newThread: startThread(with: call)
        case .queue(let needsWatch): if needsWatch { Task.detached { await self.watchDeadlines() } }
        case .nowhere(let error): call.fail(error)
        }
        report()
    }

    /// Refuses calls from now on, and ends the threads when they have nothing left to do.
    func close(then done: @escaping @Sendable () -> Void = {}) {
        let (idle, isOver) = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            if state.threads > 0 { state.closers.append(done) }
            return (state.idle, state.threads == 0)
        }
        for seat in idle { seat.wakeUp.signal() }
        if isOver { done() }
    }

    /// Fails those that waited too long, as long as anybody waits.
    private func watchDeadlines() async {
        while true {
            let (late, next) = state.withLock { state in
                let now = ContinuousClock.now
                let late = state.waiting.prefix { $0.deadline <= now }
                state.waiting.removeFirst(late.count)
                if state.waiting.isEmpty { state.isWatched = false }
                return (late, state.waiting.first?.deadline)
            }
            for call in late { call.fail(PostgresError(.busy, "No connection to the database became free in time.")) }
            guard let next else { return report() }
            try? await Task.sleep(until: next)
        }
    }

    private func report() {
        let (open, busy, waiting) = state.withLock { state in
            (state.connections, state.threads - state.idle.count, state.waiting.count)
        }
        connections.record(open)
        connectionsInUse.record(busy)
        callsWaiting.record(waiting)
    }
}

// MARK: Threads

extension CallQueue {
    private func startThread(with call: Call) {
        let thread = Thread { self.work(on: Seat(), first: call) }
        thread.name = "postgres"
        thread.start()
    }

    private func work(on seat: Seat, first: Call) {
        let worker = ConnectionWorker(opener: opener)
        var next: Call? = first
        while let call = next {
            worker.begin()
            do throws(NoConnection) {
                try call.run(worker)
                note(worker, at: seat)
            } catch {
                note(worker, at: seat)
                returned(call, error.error)
            }
            next = nextCall(for: worker, at: seat)
        }
        worker.disconnect()
        note(worker, at: seat)
        let closers = state.withLock { state -> [@Sendable () -> Void] in
            state.threads -= 1
            guard state.threads == 0 else { return [] }
            defer { state.closers = [] }
            return state.closers
        }
        report()
        for done in closers { done() }
    }

    /// Another thread may still have a connection for it.
    private func returned(_ call: Call, _ error: PostgresError) {
        if state.withLock({ $0.connections > 0 && call.deadline > .now }) { add(call) } else { call.fail(error) }
    }

    /// Waits for the next call.
    ///
    /// - Returns: `nil` when there will be none.
    private func nextCall(for worker: ConnectionWorker, at seat: Seat) -> Call? {
        enum Step {
            case run(Call), wait, end
        }
        let step: Step = state.withLock { state in
            if !state.waiting.isEmpty { return .run(state.waiting.removeFirst()) }
            if state.isClosed { return .end }
            state.idle.append(seat)
            return .wait
        }
        report()
        switch step {
        case .run(let call): return call
        case .end: return nil
        case .wait: break
        }
        let patience = DispatchTimeInterval.milliseconds(Int(clamping: Int64(idleLimit / .milliseconds(1))))
        if worker.connection == nil || seat.wakeUp.wait(timeout: .now() + patience) == .timedOut {
            worker.disconnect()
            note(worker, at: seat)
            report()
            seat.wakeUp.wait()
        }
        return seat.call.withLock { call in
            defer { call = nil }
            return call
        }
    }

    /// Counts the connection that a thread has or has not.
    private func note(_ worker: ConnectionWorker, at seat: Seat) {
        let isConnected = worker.connection != nil
        state.withLock { state in
            seat.isConnected.withLock { wasConnected in
                state.connections += (isConnected ? 1 : 0) - (wasConnected ? 1 : 0)
                wasConnected = isConnected
            }
        }
    }
}
