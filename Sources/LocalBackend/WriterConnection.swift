// The one connection that writes, and its replacement after an error of the disk.

import BlobCore
import BlobStorage
import GRDB
import Synchronization

/// Holds the writing connection, and replaces it when it is in doubt.
///
/// After a failed fsync the kernel may have dropped the WAL's newest pages as if they were on the disk. A process that
/// finds their frames takes them as committed, and frames that it appends behind them would be lost with them when the
/// power goes. So each new connection of the server first copies the WAL's frames into the database, where the copies
/// are really written and synced, and empties the WAL.
///
/// All calls are made on one thread; the lock is there for the compiler and never waited for.
final class WriterConnection: Sendable {
    private struct State {
        var connection: DatabaseQueue?
        var isInDoubt = false
        var isClosed = false
        /// When a connection may be made, so that a dead disk is not asked by each of thousands of callers.
        var nextAttempt = ContinuousClock.now
    }

    private static let attemptInterval = Duration.seconds(1)

    let role: LocalCatalog.Role
    private let connector: Connector
    private let state: Mutex<State>

    /// Connects, and brings the database to the newest format.
    init(connector: Connector) throws {
        self.connector = connector
        role = connector.role
        let connection = try connector.writer()
        state = Mutex(State(connection: connection))
        try connection.writeWithoutTransaction { db in
            try checkpoint(db)
            try bringUpToDate(db)
        }
    }

    /// Runs `body` on the connection, which is replaced if it is in doubt.
    ///
    /// - Throws: what `body` throws, or why there is no connection.
    func execute<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try connection().writeWithoutTransaction { db in try SystemFailure.watching(db, body) }
    }

    /// Lets the connection be replaced before anything else is written.
    func doubt() {
        state.withLock { state in
            state.isInDoubt = true
            // Only the server may empty the WAL. Another process fails once and for all: it is a short-lived one.
            if role == .visitor { state.isClosed = true }
        }
    }

    func close() {
        state.withLock { state in
            // Should statements still be in use, the connection goes with the last of them.
            try? state.connection?.close()
            state.connection = nil
            state.isClosed = true
        }
    }

    private func connection() throws -> DatabaseQueue {
        try state.withLock { state in
            guard !state.isClosed else { throw BlobError.stopping }
            if let connection = state.connection, !state.isInDoubt { return connection }
            guard ContinuousClock.now >= state.nextAttempt else {
                throw BlobError(.unavailable(.catalogUnreachable))
            }
            state.nextAttempt = ContinuousClock.now + Self.attemptInterval
            // The old one stays open until the new one is there: the last to close would forget where in the WAL the
            // committed frames end, and the failed ones behind them would count again.
            let connection: DatabaseQueue
            do {
                connection = try connector.writer()
                try connection.writeWithoutTransaction(checkFormat)
                try? state.connection?.close()
                state.connection = connection
                try connection.writeWithoutTransaction(checkpoint)
            } catch  where DatabaseErrors.isForWantOfRoom(error) {
                // Whoever can make room tries again at once.
                state.nextAttempt = .now
                throw error
            }
            state.isInDoubt = false
            state.nextAttempt = .now
            return connection
        }
    }

    /// Copies the WAL's frames into the database as far as no reader needs them, so that the next ones take their room.
    func reuseLog() throws {
        guard role == .server else { return }
        try execute { db in _ = try db.checkpoint(.passive) }
    }

    /// Empties the WAL, whatever an earlier connection or process did to it.
    private func checkpoint(_ db: Database) throws {
        guard role == .server else { return }
        try db.checkpoint(.truncate)
    }
}
