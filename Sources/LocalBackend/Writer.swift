// The one connection that writes, and what becomes of it after an error of the disk.

import GRDB
import Synchronization

/// Holds the writing connection, and replaces it when it is in doubt.
///
/// After a failed fsync the kernel may have dropped the WAL's newest pages from memory as if they were on the disk.
/// Nothing more may be appended behind them. So the connection is closed, and a new one first copies what the WAL holds
/// into the database and empties the WAL: the copies are written and synced for real.
///
/// All calls are made on one thread; the lock is there for the compiler and never waited for.
final class Writer: Sendable {
    private struct State {
        var connection: DatabaseQueue?
        /// When a connection may be tried again, so that a dead disk is not asked by each of thousands of callers.
        var retry = ContinuousClock.now
    }

    private static let retryInterval = Duration.seconds(1)

    private let connector: Connector
    private let state: Mutex<State>

    init(connector: Connector) throws {
        self.connector = connector
        state = Mutex(State(connection: try connector.writer()))
    }

    /// Runs `body` on the connection, which is made anew if it is in doubt.
    func execute<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try state.withLock { state in try Self.connection(&state, connector) }.writeWithoutTransaction(body)
    }

    /// Lets the connection be replaced before it is used again.
    func doubt() {
        state.withLock { state in
            // Statements that are still in use would keep it open: then the last of them closes it.
            try? state.connection?.close()
            state.connection = nil
        }
    }

    func close() {
        doubt()
    }

    private static func connection(_ state: inout State, _ connector: Connector) throws -> DatabaseQueue {
        if let connection = state.connection { return connection }
        guard ContinuousClock.now >= state.retry else {
            throw DatabaseError(resultCode: .SQLITE_IOERR, message: "the connection is not restored yet")
        }
        state.retry = ContinuousClock.now + retryInterval
        let connection = try connector.writer()
        try connection.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
        state.connection = connection
        return connection
    }
}
