// The catalog in an SQLite database: opening, closing, and the way of every call to a reader or to the writer.
//
// The calls themselves stand beside the table that they are about: UploadRows, BlobRows, FileRows, FileLists, TokenRows
// and UsageRows.

public import BlobCore
public import BlobStorage
import Foundation
import GRDB
public import Logging

/// Keeps the rows in one SQLite file in WAL mode.
///
/// Writes of all callers share transactions (``CommitQueue``); reads run beside them on connections of their own. No
/// call blocks the caller's thread, and none ends early when the caller's task is cancelled.
public final class LocalCatalog: Catalog {
    /// As what a process opens the database.
    public enum Role: Sendable {
        /// The one process that serves it, brings an older format up to date, and checkpoints.
        case server
        /// Another process beside the server, for a few rows. It never checkpoints while others have the database open:
        /// before SQLite 3.51.3, two connections that checkpoint at once can damage it.
        case visitor
    }

    let clock: any WallClock
    private let commits: CommitQueue
    private let lookups: ReaderPool
    /// One thread for calls that look at every row, so that they cannot keep lookups waiting.
    private let scans: ReaderPool
    private let key: [UInt8]
    private let errors: DatabaseErrors

    /// Opens the database, and makes it when there is none.
    ///
    /// Blocks for the time of a few reads, and after a crash of copying the WAL (tens of MiB at most); how long does
    /// not depend on the number of rows.
    /// - Parameters:
    ///   - path: the database file. Two more, with `-wal` and `-shm` after its name, come and go beside it.
    ///   - beginsGeneration: whether this is a start of a server: a higher ``StoreVersion/generation`` is durable then
    ///     when this returns.
    ///   - readers: how many lookups run at one time.
    ///   - room: of the disk that the database is on, for the changes that have to go on when it is full.
    /// - Throws: ``OperatorError`` when the file is of a newer format, or not a catalog; ``BlobError`` when it is
    ///   damaged or cannot be used.
    public init(
        path: String, role: Role = .server, beginsGeneration: Bool = false, clock: any WallClock, readers: Int = 4,
        room: DiskRoom? = nil, logger: Logger = Logger(label: "blobd.catalog")
    ) throws {
        let errors = DatabaseErrors(logger: logger)
        let connector = Connector(path: path, role: role)
        do {
            let writer = try WriterConnection(connector: connector)
            key = try writer.secret()
            if beginsGeneration { try Self.beginGeneration(writer, logger) }
            commits = CommitQueue(writer: writer, errors: errors, room: room)
        } catch {
            throw errors.opening(error)
        }
        lookups = ReaderPool(connector: connector, count: max(1, readers))
        scans = ReaderPool(connector: connector, count: 1)
        self.errors = errors
        self.clock = clock
    }

    private static func beginGeneration(_ writer: WriterConnection, _ logger: Logger) throws {
        do {
            try writer.execute { db in
                try db.inTransaction(.immediate) {
                    try StoreVersion.raise(in: db)
                    return .commit
                }
            }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            // Downloads need no room, and a backup that is not told from an older one is still one of this store.
            logger.warning("The disk is full, so this start is not counted in the store's generation")
        }
    }

    /// Lets the changes that were called before finish, then closes the database. Lookups that still wait, and calls
    /// after it, throw ``BlobError/Reason/unavailable(_:)``.
    public func close() async {
        await lookups.close()
        await scans.close()
        // The last connection to close copies the WAL into the database: better the writer's than a read-only one.
        await commits.close()
    }

    public func secret() async throws(BlobError) -> [UInt8] { key }

    public func checkReadiness() async throws(BlobError) {
        try await read { db, _ in _ = try UsageRows.lastFileID(in: db) }
        // An empty change goes the way of all others, through the writer.
        try await write { _, _ in }
    }
}

extension LocalCatalog {
    /// Runs `body` in a transaction that it shares with other callers. When this returns, the changes are durable; when
    /// it throws, there are none. `body` may run again where the transaction found no room.
    ///
    /// - Parameter isAdding: whether it is refused when the disk is full. What removes goes on then.
    func write<Value: Sendable>(
        adding isAdding: Bool = false,
        _ body: @escaping @Sendable (Database, _ now: Timestamp) throws -> Value
    ) async throws(BlobError) -> Value {
        let clock = clock
        return try await commits.perform(adding: isAdding) { db in try body(db, Timestamp(clock.now)) }
    }

    /// Runs `body`, which is cheap and makes a single SELECT, or several that need not agree.
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database, _ now: Timestamp) throws -> Value
    ) async throws(BlobError) -> Value {
        try await read(on: lookups, body)
    }

    /// Runs `body` where its statements all see the same rows.
    ///
    /// - Parameter isScan: whether it looks at every row.
    func readSnapshot<Value: Sendable>(
        isScan: Bool, _ body: @escaping @Sendable (Database, _ now: Timestamp) throws -> Value
    ) async throws(BlobError) -> Value {
        try await read(on: isScan ? scans : lookups) { db, now in
            try db.cachedStatement(sql: "BEGIN").execute()
            defer { try? db.cachedStatement(sql: "ROLLBACK").execute() }
            return try body(db, now)
        }
    }

    private func read<Value: Sendable>(
        on pool: ReaderPool, _ body: @escaping @Sendable (Database, _ now: Timestamp) throws -> Value
    ) async throws(BlobError) -> Value {
        let clock = clock
        do {
            return try await pool.read { db in try body(db, Timestamp(clock.now)) }.get()
        } catch {
            throw errors.classified(error)
        }
    }

    public func faults() async throws(BlobError) -> [String] {
        try await readSnapshot(isScan: true) { db, _ in
            let structure = try db.all("PRAGMA integrity_check(100)") { try $0.text(0) }.filter { $0 != "ok" }
            let references = try db.all("PRAGMA foreign_key_check") { row in
                "a row of \(try row.text(0)) speaks of one of \(try row.text(2)) that is not there"
            }
            let counters = try db.all(UsageRows.wrongCounters) { "the counters of \(try $0.text(0)) are wrong" }
            return structure + references + counters
        }
    }

    /// Gives the pages back to the disk that hold no rows any more, and that SQLite keeps for those to come. Without
    /// effect in a database that an earlier version made: it cannot be shrunk in steps.
    func giveBackFreePages() async throws(BlobError) {
        let isShrunk = try await shrink()
        guard isShrunk else { return }
        while try await shrink() {}
        await commits.checkpoint()
    }

    /// One step of it, so small that others' changes do not wait.
    ///
    /// - Returns: whether it gave any page back.
    private func shrink() async throws(BlobError) -> Bool {
        try await write { db, _ in
            let free = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
            guard free > 0 else { return false }
            try db.execute(sql: "PRAGMA incremental_vacuum(256)")
            return try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0 < free
        }
    }

    /// Runs one statement on the writer's connection and returns its rows as text, for tests and for looking into it.
    /// Its parameters are NULL.
    func run(_ sql: String) async throws(BlobError) -> [String] {
        try await commits.perform { db in
            let statement = try db.makeStatement(sql: sql)
            statement.setUncheckedArguments([])
            return try Row.fetchAll(statement).map { row in
                row.databaseValues.map { String.fromDatabaseValue($0) ?? "\($0)" }.joined(separator: "|")
            }
        }
    }
}
