// The tables, and bringing a database to the version that this program knows.

public import BlobCore
public import Logging
public import PostgresPool

/// What each version adds to the one before. Never change a step that was released: add one.
enum Schema {
    /// The newest version that this program knows.
    static var version: Int64 { Int64(steps.count) }

    static let steps = [versionOne, PathsAndSubjects.versionTwo]

    private static let versionOne =
        tables + fileTables + RowFunctions.fileIDs + FileCounters.versionOne + ContentTables.versionOne
        + RowFunctions.uploads + RowFunctions.files + ImportFunctions.versionOne

    private static let tables = """
        -- Bytes under a name, such as the key of the keyed hashes.
        CREATE TABLE meta (name TEXT PRIMARY KEY, value BYTEA NOT NULL);

        -- Times are milliseconds since 1970 everywhere, and all nodes take them from here. It is the time at which the
        -- statement came in. STABLE lets the server look into an index at it, and know beforehand how much is there.
        CREATE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql STABLE AS $$
            SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::BIGINT
        $$;

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

        """
}

extension CloudCatalog {
    private static let secretByteCount = 32
    /// The lock under which one node at a time changes the tables; "blob".
    private static let migrationLock: Int64 = 0x626C_6F62

    /// Brings the database to the newest version. Nodes may do so at the same time; while they run, too.
    ///
    /// - Throws: ``BlobError/Code/unavailable`` when the database cannot be reached, or is of a newer version.
    public static func migrate(
        _ pool: PostgresPool, logger: Logger = Logger(label: "blobd.catalog")
    ) async throws(BlobError) {
        let secret = (0..<secretByteCount).map { _ in UInt8.random(in: .min ... .max) }
        let found: Int64
        do {
            found = try await pool.transaction(timeout: .seconds(600)) { transaction throws(PostgresError) in
                _ = try transaction.query("SELECT pg_advisory_xact_lock($1)", [.integer(migrationLock)])
                try transaction.runScript("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
                let rows = try transaction.query("SELECT version FROM schema_version")
                let found = try rows.first?.integer(0) ?? 0
                guard (0..<Schema.version).contains(found) else { return found }
                try transaction.runScript(Schema.steps[Int(found)...].joined())
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
        try check(version: found)
    }

    /// Checks that the database is of the version that this program knows, and changes nothing.
    public static func checkVersion(
        of pool: PostgresPool, logger: Logger = Logger(label: "blobd.catalog")
    ) async throws(BlobError) {
        try check(version: try await version(in: Database(pool: pool, clock: nil, logger: logger)))
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
