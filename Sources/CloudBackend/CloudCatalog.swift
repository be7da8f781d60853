// The catalog in a PostgreSQL database.
//
// The calls themselves stand beside the table that they are about: UploadRows, BlobRows, FileRows, FileLists, TokenRows
// and UsageRows.

public import BlobCore
public import BlobStorage
public import Logging
public import PostgresPool
import Synchronization

/// Keeps the rows in a PostgreSQL database, which any number of servers share.
///
/// Every call is one statement, and so one transaction: none is open while a server thinks, or stopped thinking. The
/// database's functions make changes of more than one step: `SQL/`.
///
/// A connection that is lost while a change runs leaves unknown whether it was made. Changes that may be made twice are
/// tried again. The others throw ``BlobError/Reason/unavailable(_:)``, and may have been made: a repeated completion
/// returns the same file, since the claim before it tells; a repeated advance is refused, and the client asks for the
/// offset; a destroyed upload or file is unknown the second time; and the bytes of uploads that were removed stay until
/// the next search for objects without a row.
public final class CloudCatalog: Catalog {
    let database: Database
    private let key = Mutex<[UInt8]?>(nil)

    /// - Parameters:
    ///   - pool: connections to a database that ``prepare(_:by:logger:)`` found good.
    ///   - clock: the time, for tests; `nil` for the database's own.
    public init(
        pool: PostgresPool, clock: (any WallClock)? = nil, logger: Logger = Logger(label: "blobd.catalog")
    ) {
        database = Database(pool: pool, clock: clock, logger: logger)
    }

    public func secret() async throws(BlobError) -> [UInt8] {
        if let key = key.withLock(\.self) { return key }
        let secret = try await readSecret()
        key.withLock { $0 = secret }
        return secret
    }

    public func checkReadiness() async throws(BlobError) {
        // Taking a number is a change, though one that nobody has to wait for.
        try await database.run(
            "SELECT nextval('file_numbers') FROM meta WHERE name = 'secret'", [], isRepeatable: true
        )
    }

    public func faults() async throws(BlobError) -> [String] {
        try await database.rows(UsageRows.faults, [], timeout: .seconds(86_400)) { row throws(PostgresError) in
            try row.text(0)
        }
    }
}
