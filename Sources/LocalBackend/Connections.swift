// How connections to the database are set up: one that writes, and those that only read.

import GRDB

/// Opens connections to one database file.
struct Connector: Sendable {
    /// How long a connection waits for another process's lock before it gives up.
    private static let busyTimeout = Database.BusyMode.timeout(5)
    /// Pages in the WAL that make the writer copy them into the database: 4 MiB. The database may grow by as much. On a
    /// full disk the reserve has to hold that beside what is written meanwhile; unless it is set otherwise, it is twice
    /// as large.
    private static let checkpointPages = 1024

    let path: String
    let role: LocalCatalog.Role

    func writer() throws -> DatabaseQueue {
        let checkpointPages = role == .server ? Self.checkpointPages : 0
        var configuration = Configuration()
        configuration.label = "catalog.writer"
        configuration.busyMode = Self.busyTimeout
        // A connection whose transaction could not even be rolled back is closed by its owner; GRDB would trap.
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { db in
            // A database can only be told before it has tables. Told again, it writes that down once more, and who only
            // visits it would change it.
            if try Int.fetchOne(db, sql: "PRAGMA auto_vacuum") == 0 {
                try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            }
            guard try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL") == "wal" else {
                throw DatabaseError(resultCode: .SQLITE_CANTOPEN, message: "the file system does not allow WAL mode")
            }
            try db.execute(
                sql: """
                    PRAGMA synchronous = FULL;
                    PRAGMA wal_autocheckpoint = \(checkpointPages);
                    PRAGMA journal_size_limit = 67108864;
                    PRAGMA cache_size = -16384;
                    PRAGMA temp_store = MEMORY;
                    """
            )
        }
        return try SystemFailure.watchingOpening(of: path, isReadOnly: false) {
            try DatabaseQueue(path: path, configuration: configuration)
        }
    }

    /// The writer must be open: it makes the files that WAL mode needs.
    func reader() throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "catalog.reader"
        configuration.readonly = true
        configuration.busyMode = Self.busyTimeout
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { db in
            try db.execute(
                sql: """
                    PRAGMA cache_size = -4096;
                    PRAGMA temp_store = MEMORY;
                    """
            )
        }
        return try SystemFailure.watchingOpening(of: path, isReadOnly: true) {
            try DatabaseQueue(path: path, configuration: configuration)
        }
    }
}
