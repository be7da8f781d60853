// What the system said when the database could not reach its files. SQLite's own words name neither.

import GRDB
import GRDBSQLite
import SystemPackage

/// An error of the database, and that of the system call behind it.
struct SystemFailure: Error {
    let error: DatabaseError
    let cause: Errno

    /// - Parameter code: 0 when SQLite knows of none.
    private init?(_ error: DatabaseError, code: CInt) {
        guard code != 0 else { return nil }
        self.error = error
        cause = Errno(rawValue: code)
    }

    /// SQLite makes files where it needs shared memory, and tells of a full disk there as of one that fails.
    var isForWantOfRoom: Bool { [.noSpace, .diskQuotaExceeded].contains(cause) }

    private static func isPossible(_ error: DatabaseError) -> Bool {
        [.SQLITE_CANTOPEN, .SQLITE_IOERR].contains(error.resultCode)
    }

    /// Runs `body`, and adds the cause to its errors.
    static func watching<Value>(_ db: Database, _ body: (Database) throws -> Value) throws -> Value {
        do {
            return try body(db)
        } catch let error as DatabaseError where isPossible(error) {
            throw SystemFailure(error, code: db.sqliteConnection.map(sqlite3_system_errno) ?? 0) ?? error
        }
    }

    /// Runs `body`, which opens a connection, and adds the cause to its errors. GRDB closes a connection that failed,
    /// and its cause is gone; so another is opened the same way, as far as that reaches.
    static func watchingOpening<Value>(of path: String, isReadOnly: Bool, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DatabaseError where isPossible(error) {
            var connection: OpaquePointer?
            defer { sqlite3_close_v2(connection) }
            // No file is made: its absence may be the error.
            let flags = isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE
            let isOpen = sqlite3_open_v2(path, &connection, flags, nil) == SQLITE_OK
            // The log's files are opened by the first statement.
            if isOpen, sqlite3_exec(connection, "SELECT count(*) FROM sqlite_master", nil, nil, nil) == SQLITE_OK {
                throw error
            }
            throw SystemFailure(error, code: connection.map(sqlite3_system_errno) ?? 0) ?? error
        }
    }
}
