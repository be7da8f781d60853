// The tables, and bringing a database to the version that this program knows.

import BlobCore
import BlobStorage
public import Logging
public import PostgresPool

/// The SQL of the tables and functions, files beside this one.
///
/// The tables: what each version adds to those of the one before. Never change a step that was released: add one. And
/// the functions, which are made anew as they are now: one that changes is a new version, too, though its step may be
/// empty.
///
/// Nodes of older versions go on beside it. New columns are NULL in the rows that there are and in those that such
/// nodes make, and the functions that they call are still there.
enum Schema {
    /// The newest version that this program knows.
    static var version: Int64 { Int64(steps.count) }

    private static let steps = [
        PackageResources.tables_1_sql, PackageResources.tables_2_sql, PackageResources.tables_3_sql,
        PackageResources.tables_4_sql, PackageResources.tables_5_sql,
    ]

    /// A function comes after those that it calls in its own language.
    private static let functions = [
        PackageResources.times_sql, PackageResources.segments_sql, PackageResources.contents_sql,
        PackageResources.composing_sql, PackageResources.sweeping_sql, PackageResources.quotas_sql,
        PackageResources.uploads_sql, PackageResources.files_sql, PackageResources.importing_sql,
    ]

    /// The script that brings a database of a version, 0 for an empty one, to the newest.
    static func script(from version: Int64) -> String {
        let files = (steps[Int(version)...] + functions).map { String(decoding: $0, as: UTF8.self) }
        return StateNames.resolved(files.joined(separator: "\n"))
    }
}

extension CloudCatalog {
    private static let secretByteCount = 32
    /// The lock under which one node at a time changes the tables; "blob".
    private static let migrationLock: Int64 = 0x626C_6F62

    /// What a process may do to the tables that it does not find as it wants them.
    public enum Preparation: Sendable {
        /// Brings those of any older version to the newest: a server alone, whose operator has chosen to start it.
        /// Servers may do so at the same time; while they run, too.
        case migrating
        /// Makes them in an empty database, where nobody can miss the ones before.
        case creating
        /// Nothing.
        case looking
    }

    /// Checks that a database is of the version that this program knows, after the preparation that is allowed.
    ///
    /// - Throws: ``OperatorError`` when the database is of another version, ``BlobError`` when it cannot be reached.
    public static func prepare(
        _ pool: PostgresPool, by preparation: Preparation, logger: Logger = Logger(label: "blobd.catalog")
    ) async throws {
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
    ) async throws {
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

    private static func check(version: Int64) throws(OperatorError) {
        guard version <= Schema.version else {
            throw OperatorError(
                """
                The database is of version \(version), and this program knows versions up to \(Schema.version): use \
                the newer version that wrote it.
                """
            )
        }
        guard version > 0 else {
            throw OperatorError("The database is empty: start a server on it once, which makes the tables.")
        }
        guard version == Schema.version else {
            throw OperatorError(
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
