// The tables, and bringing a database to the version that this program knows.

public import BlobCore
public import Logging
public import PostgresPool

/// The tables: what each version adds to those of the one before. Never change a step that was released: add one. And
/// the functions, which are made anew as they are now: one that changes is a new version, too, though its step may be
/// empty.
///
/// Nodes of older versions go on beside it. New columns are NULL in the rows that there are and in those that such
/// nodes make, and the functions that they call are still there.
enum Schema {
    /// The newest version that this program knows.
    static var version: Int64 { Int64(steps.count) }

    private static let steps = [versionOne, versionTwo, versionThree]

    /// What brings a database of a version, 0 for an empty one, to the newest.
    static func script(from version: Int64) -> String { steps[Int(version)...].joined() + functions }

    private static let functions =
        RowFunctions.times + ContentTables.functions + RowFunctions.uploads + RowFunctions.files
        + ImportFunctions.functions

    private static let versionOne = tables + fileTables + FileCounters.versionOne + ContentTables.versionOne

    /// Who waits for a table lets all others wait behind. Better is to start a node once more.
    private static let lockTimeout = "SET LOCAL lock_timeout = '10s';\n"

    /// The paths of files, and tokens that speak for another subject than their name's. A migration of a version that
    /// knows neither must not lose them.
    private static let versionTwo =
        lockTimeout + """
            ALTER TABLE uploads ADD COLUMN path TEXT COLLATE "C";  -- where the file lay in its folder
            ALTER TABLE files ADD COLUMN path TEXT COLLATE "C";
            ALTER TABLE tokens ADD COLUMN subject TEXT COLLATE "C";  -- NULL: that of the token's name
            DROP FUNCTION IF EXISTS import_files, import_upload, import_tokens;

            """

    /// The ETags of objects, as the store wrote them: what tells an object from another in its place. NULL where nobody
    /// has kept it: the objects of older versions, until they are verified.
    private static let versionThree =
        lockTimeout + """
            ALTER TABLE segments ADD COLUMN etag TEXT COLLATE "C";
            ALTER TABLE pieces ADD COLUMN etag TEXT COLLATE "C";
            DROP FUNCTION IF EXISTS adopt_content;

            """

    private static let tables = """
        -- Bytes under a name, such as the key of the keyed hashes.
        CREATE TABLE meta (name TEXT PRIMARY KEY, value BYTEA NOT NULL);

        -- Numbers in the ids of files, and the newest time that is in one.
        CREATE SEQUENCE file_numbers MINVALUE 0 MAXVALUE 4194303 START 0 CYCLE;
        CREATE SEQUENCE file_moment MINVALUE 0 MAXVALUE 2199023255551 START 0;

        CREATE TABLE uploads (
            id UUID PRIMARY KEY,
            owner TEXT COLLATE "C" NOT NULL,
            name TEXT COLLATE "C",
            temporary BOOLEAN NOT NULL,
            expires BIGINT NOT NULL,
            epoch BIGINT NOT NULL,
            byte_offset BIGINT NOT NULL,
            announced BIGINT NOT NULL,
            digest_state BYTEA NOT NULL,
            state SMALLINT NOT NULL,  -- 0 open, 1 completed, 2 failed
            -- What a completed upload became: the answer can be repeated even when the file is gone.
            file_id BIGINT,
            file_digest BYTEA,
            file_created BIGINT,
            file_expires BIGINT,
            content BIGINT
        );
        CREATE INDEX uploads_by_expiry ON uploads (expires);
        -- Open uploads are counted by this. An advance leaves it alone, as far as it can.
        CREATE INDEX uploads_open ON uploads (owner) WHERE state = 0;

        CREATE TABLE blobs (
            digest BYTEA PRIMARY KEY,
            size BIGINT NOT NULL,
            dying_since BIGINT,  -- NULL while a file points at it
            condition SMALLINT NOT NULL DEFAULT 0  -- of its bytes: 0 sound, 1 suspected, 2 damaged
        );
        CREATE INDEX blobs_by_condition ON blobs (condition) WHERE condition <> 0;
        CREATE INDEX blobs_dying ON blobs (dying_since) WHERE dying_since IS NOT NULL;

        CREATE TABLE tokens (
            secret_digest BYTEA PRIMARY KEY,
            name TEXT COLLATE "C" NOT NULL UNIQUE,
            scopes TEXT NOT NULL,  -- separated by spaces
            created BIGINT NOT NULL,
            expires BIGINT
        );

        """

    private static let fileTables = """
        CREATE TABLE files (
            id BIGINT PRIMARY KEY,
            digest BYTEA NOT NULL REFERENCES blobs (digest),
            owner TEXT COLLATE "C" NOT NULL,
            name TEXT COLLATE "C" NOT NULL,
            size BIGINT NOT NULL,
            temporary BOOLEAN NOT NULL,
            created BIGINT NOT NULL,
            expires BIGINT  -- NULL for a permanent file
        );
        -- A blob's permanent files before its temporary ones, and the oldest first.
        CREATE INDEX files_by_digest ON files (digest, temporary, id);
        CREATE INDEX files_by_digest_expiry ON files (digest, expires) WHERE expires IS NOT NULL;
        CREATE INDEX files_by_expiry ON files (expires, owner) WHERE expires IS NOT NULL;
        -- Lists. A descending list is an ascending one read backwards, ties included, so one index serves both. With
        -- the expiry, what a page skips is skipped in the index alone.
        CREATE INDEX files_by_created ON files (created, id) INCLUDE (expires);
        CREATE INDEX files_by_name ON files (name, id) INCLUDE (expires);
        CREATE INDEX files_by_size ON files (size, id) INCLUDE (expires);
        CREATE INDEX files_of_owner_by_created ON files (owner, created, id) INCLUDE (expires);
        CREATE INDEX files_of_owner_by_name ON files (owner, name, id) INCLUDE (expires);
        CREATE INDEX files_of_owner_by_size ON files (owner, size, id) INCLUDE (expires);

        -- Files that were brought by a migration that is not over. That one is not over, a row of meta tells: 'importing'.
        CREATE TABLE imported_files (id BIGINT PRIMARY KEY);

        """
}

extension CloudCatalog {
    private static let secretByteCount = 32
    /// The lock under which one node at a time changes the tables; "blob".
    private static let migrationLock: Int64 = 0x626C_6F62

    /// What a process may do to the tables that it does not find as it wants them.
    public enum Preparation: Sendable {
        /// Brings those of any older version to the newest: a server alone, which whoever runs it has chosen to start.
        /// Servers may do so at the same time; while they run, too.
        case migrating
        /// Makes them in an empty database, where nobody can miss the ones before.
        case creating
        /// Nothing.
        case looking
    }

    /// Checks that a database is of the version that this program knows, after what may be done to it.
    ///
    /// - Throws: ``BlobError/Code/unavailable`` when the database cannot be reached, or is of another version.
    public static func prepare(
        _ pool: PostgresPool, by preparation: Preparation, logger: Logger = Logger(label: "blobd.catalog")
    ) async throws(BlobError) {
        switch preparation {
        case .migrating: try check(version: try await bringUp(pool, from: 0..<Schema.version, logger))
        case .creating: try check(version: try await bringUp(pool, from: 0..<1, logger))
        case .looking: try check(version: try await version(in: Database(pool: pool, clock: nil, logger: logger)))
        }
    }

    /// Brings a database to the newest version when it is of one of these; an empty one is of none, 0.
    ///
    /// - Returns: its version then.
    private static func bringUp(
        _ pool: PostgresPool, from versions: Range<Int64>, _ logger: Logger
    ) async throws(BlobError) -> Int64 {
        let secret = (0..<secretByteCount).map { _ in UInt8.random(in: .min ... .max) }
        do {
            return try await pool.transaction(timeout: .seconds(600)) { transaction throws(PostgresError) in
                _ = try transaction.query("SELECT pg_advisory_xact_lock($1)", [.integer(migrationLock)])
                try transaction.runScript("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
                let rows = try transaction.query("SELECT version FROM schema_version")
                let found = try rows.first?.integer(0) ?? 0
                guard versions.contains(found) else { return found }
                try transaction.runScript(Schema.script(from: found))
                if found == 0 {
                    _ = try transaction.query("INSERT INTO meta VALUES ('secret', $1)", [.bytes(secret)])
                    _ = try transaction.query("INSERT INTO schema_version VALUES (0)")
                }
                _ = try transaction.query("UPDATE schema_version SET version = $1", [.integer(Schema.version)])
                return Schema.version
            }
        } catch {
            throw DatabaseErrors(logger: logger).classified(error)
        }
    }

    /// Checks that a node of this version can start on the database, which it brings to its version, and changes
    /// nothing.
    public static func checkCanServe(
        from pool: PostgresPool, logger: Logger = Logger(label: "blobd.catalog")
    ) async throws(BlobError) {
        let found = try await version(in: Database(pool: pool, clock: nil, logger: logger))
        try check(version: max(found, Schema.version))
        guard found > 0 else { return }
        try await CloudCatalog(pool: pool, logger: logger).checkImportIsOver()
    }

    /// 0 where there are no tables yet.
    private static func version(in database: Database) async throws(BlobError) -> Int64 {
        let select = "SELECT coalesce(max(version), 0) FROM schema_version"
        let isThere = try await database.first("SELECT to_regclass('schema_version') IS NOT NULL", []) {
            row throws(PostgresError) in try row.flag(0)
        }
        guard isThere == true else { return 0 }
        return try await database.first(select, []) { row throws(PostgresError) in try row.integer(0) } ?? 0
    }

    private static func check(version: Int64) throws(BlobError) {
        guard version <= Schema.version else {
            throw BlobError(
                .unavailable,
                """
                The database is of version \(version), and this program knows versions up to \(Schema.version): use \
                the newer version that wrote it.
                """
            )
        }
        guard version > 0 else {
            throw BlobError(.unavailable, "The database is empty: start a server on it once, which makes the tables.")
        }
        guard version == Schema.version else {
            throw BlobError(
                .unavailable,
                """
                The database is of version \(version): start this version's server once to bring it to version \
                \(Schema.version).
                """
            )
        }
    }

    func readSecret() async throws(BlobError) -> [UInt8] {
        let select = "SELECT value FROM meta WHERE name = 'secret'"
        let secret = try await database.first(select, []) { row throws(PostgresError) in
            let secret = try row.bytes(0)
            guard secret.count == Self.secretByteCount else { throw .damagedRow(of: "meta") }
            return secret
        }
        guard let secret else { throw database.errors.classified(.damagedRow(of: "meta")) }
        return secret
    }
}
