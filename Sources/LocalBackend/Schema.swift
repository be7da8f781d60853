// The tables, and bringing a database to the format that this program knows.

import BlobCore
import BlobStorage
import Foundation
import GRDB

/// What each format adds to the one before. Never change a step that was released: add one.
enum Schema {
    /// "blob": marks the file as a catalog (`PRAGMA application_id`).
    static let applicationID = 0x626C_6F62

    /// The newest format that this program knows (`PRAGMA user_version`).
    static var format: Int { steps.count }

    static let steps = [formatOne, formatTwo, formatThree, formatFour]

    static func newerFormat(_ found: Int) -> OperatorError {
        OperatorError(
            """
            The catalog is of format \(found), and this program knows formats up to \(format): use the newer version \
            that wrote it.
            """
        )
    }

    private static let formatOne = tables + uploadCounters + fileCounters + blobCounters

    /// Each column is NULL in the rows that there are, and changes none of them: the step takes no longer for many.
    private static let formatTwo = """
        ALTER TABLE uploads ADD COLUMN path TEXT;  -- where the file lay in its folder
        ALTER TABLE files ADD COLUMN path TEXT;
        ALTER TABLE tokens ADD COLUMN subject TEXT;  -- NULL: that of the token's name

        """

    /// What files, uploads and what their owners let go of cost of a quota (``Charge``). It counts the rows that there
    /// are, and takes longer for many.
    private static let formatThree =
        """
        ALTER TABLE usage ADD COLUMN charge INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE usage ADD COLUMN let_go INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE blobs ADD COLUMN let_go_by TEXT;  -- the owner of its last file, while it is dying
        DROP TRIGGER uploads_inserted;
        DROP TRIGGER uploads_advanced;
        DROP TRIGGER uploads_closed;
        DROP TRIGGER uploads_deleted;
        DROP TRIGGER files_inserted;
        DROP TRIGGER files_deleted;
        ALTER TABLE usage DROP COLUMN upload_bytes;
        ALTER TABLE usage DROP COLUMN file_bytes;
        UPDATE usage SET charge = usage.charge + counted.charge FROM (
            SELECT owner, sum(\(charge(of: "size"))) AS charge FROM files GROUP BY owner
        ) AS counted WHERE usage.owner = counted.owner;
        UPDATE usage SET charge = usage.charge + counted.charge FROM (
            SELECT owner, sum(\(charge(of: "offset"))) AS charge FROM uploads WHERE state = 0 GROUP BY owner
        ) AS counted WHERE usage.owner = counted.owner;
        UPDATE usage SET let_go = counted.charge FROM (
            SELECT owner, sum(iif(state = 1, 512, \(charge(of: "offset")))) AS charge
                FROM uploads WHERE state <> 0 GROUP BY owner
        ) AS counted WHERE usage.owner = counted.owner;

        """ + uploadCharges + fileCharges

    /// NULL in the tokens that there are: nobody has noted their uses.
    private static let formatFour = """
        ALTER TABLE tokens ADD COLUMN last_used INTEGER;

        """

    private static let tables = """
        -- Bytes under a name, such as the key of the keyed hashes.
        CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

        -- Times are milliseconds since 1970 everywhere. In the order of their creation, the rows that are written at one
        -- time share pages, which in the order of the random ids they would not.
        CREATE TABLE uploads (
            id BLOB NOT NULL UNIQUE,
            owner TEXT NOT NULL,
            name TEXT,
            temporary INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            announced INTEGER NOT NULL,
            digest_state BLOB NOT NULL,
            state INTEGER NOT NULL,  -- 0 open, 1 completed, 2 failed
            -- What a completed upload became: the answer can be repeated even when the file is gone.
            file_id INTEGER,
            file_digest BLOB,
            file_created INTEGER,
            file_expires INTEGER
        ) STRICT;
        CREATE INDEX uploads_by_expiry ON uploads (expires);

        CREATE TABLE blobs (
            digest BLOB PRIMARY KEY,
            size INTEGER NOT NULL,
            dying_since INTEGER,  -- NULL while a file points at it
            condition INTEGER NOT NULL DEFAULT 0  -- of its bytes: 0 sound, 1 suspected, 2 damaged
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX blobs_by_condition ON blobs (condition) WHERE condition <> 0;
        CREATE INDEX blobs_dying ON blobs (dying_since) WHERE dying_since IS NOT NULL;

        CREATE TABLE files (
            id INTEGER PRIMARY KEY,
            digest BLOB NOT NULL REFERENCES blobs (digest),
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            size INTEGER NOT NULL,
            temporary INTEGER NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER  -- NULL for a permanent file
        ) STRICT;
        -- A blob's permanent files before its temporary ones, and the oldest first.
        CREATE INDEX files_by_digest ON files (digest, temporary);
        CREATE INDEX files_by_digest_expiry ON files (digest, expires) WHERE expires IS NOT NULL;
        CREATE INDEX files_by_expiry ON files (expires, owner) WHERE expires IS NOT NULL;
        -- Lists. A descending list is an ascending one read backwards, ties included, so one index serves both.
        CREATE INDEX files_by_created ON files (created);
        CREATE INDEX files_by_name ON files (name);
        CREATE INDEX files_by_size ON files (size);
        CREATE INDEX files_of_owner_by_created ON files (owner, created);
        CREATE INDEX files_of_owner_by_name ON files (owner, name);
        CREATE INDEX files_of_owner_by_size ON files (owner, size);

        CREATE TABLE tokens (
            secret_digest BLOB PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            scopes TEXT NOT NULL,  -- separated by spaces
            created INTEGER NOT NULL,
            expires INTEGER
        ) STRICT, WITHOUT ROWID;

        -- Counters, so that no number takes a scan. Triggers keep them: no change can forget them. STRICT makes a sum
        -- beyond 64 bits an error instead of an inexact number.
        CREATE TABLE usage (
            owner TEXT PRIMARY KEY,
            open_uploads INTEGER NOT NULL DEFAULT 0,
            upload_bytes INTEGER NOT NULL DEFAULT 0,
            files INTEGER NOT NULL DEFAULT 0,
            file_bytes INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE totals (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            open_uploads INTEGER NOT NULL DEFAULT 0,
            files INTEGER NOT NULL DEFAULT 0,
            blobs INTEGER NOT NULL DEFAULT 0,
            blob_bytes INTEGER NOT NULL DEFAULT 0,
            last_file_id INTEGER  -- kept apart from the files: an id is never given twice
        ) STRICT;
        INSERT INTO totals (one) VALUES (1);

        """

    private static let uploadCounters = """
        CREATE TRIGGER uploads_inserted AFTER INSERT ON uploads WHEN NEW.state = 0 BEGIN
            INSERT INTO usage (owner, open_uploads, upload_bytes) VALUES (NEW.owner, 1, NEW.offset)
                ON CONFLICT (owner) DO UPDATE SET
                    open_uploads = open_uploads + 1, upload_bytes = upload_bytes + NEW.offset;
            UPDATE totals SET open_uploads = open_uploads + 1;
        END;
        CREATE TRIGGER uploads_advanced AFTER UPDATE OF offset ON uploads
            WHEN OLD.state = 0 AND NEW.state = 0 AND NEW.offset <> OLD.offset BEGIN
            UPDATE usage SET upload_bytes = upload_bytes + (NEW.offset - OLD.offset) WHERE owner = OLD.owner;
        END;
        CREATE TRIGGER uploads_closed AFTER UPDATE OF state ON uploads WHEN OLD.state = 0 AND NEW.state <> 0 BEGIN
            UPDATE usage SET open_uploads = open_uploads - 1, upload_bytes = upload_bytes - OLD.offset
                WHERE owner = OLD.owner;
            UPDATE totals SET open_uploads = open_uploads - 1;
        END;
        CREATE TRIGGER uploads_deleted AFTER DELETE ON uploads WHEN OLD.state = 0 BEGIN
            UPDATE usage SET open_uploads = open_uploads - 1, upload_bytes = upload_bytes - OLD.offset
                WHERE owner = OLD.owner;
            UPDATE totals SET open_uploads = open_uploads - 1;
        END;

        """

    private static let fileCounters = """
        CREATE TRIGGER files_inserted AFTER INSERT ON files BEGIN
            INSERT INTO usage (owner, files, file_bytes) VALUES (NEW.owner, 1, NEW.size)
                ON CONFLICT (owner) DO UPDATE SET files = files + 1, file_bytes = file_bytes + NEW.size;
            UPDATE totals SET files = files + 1, last_file_id = NEW.id;
        END;
        CREATE TRIGGER files_deleted AFTER DELETE ON files BEGIN
            UPDATE usage SET files = files - 1, file_bytes = file_bytes - OLD.size WHERE owner = OLD.owner;
            UPDATE totals SET files = files - 1;
        END;

        """

    /// What as many bytes as a column says cost: ``Charge``, as it is in the rows that there are.
    static func charge(of column: String) -> String { "((\(column) + 4095) / 4096 * 4096 + 512)" }

    private static let uploadCharges = """
        CREATE TRIGGER uploads_inserted AFTER INSERT ON uploads WHEN NEW.state = 0 BEGIN
            INSERT INTO usage (owner, open_uploads, charge)
                VALUES (NEW.owner, 1, \(charge(of: "NEW.offset")))
                ON CONFLICT (owner) DO UPDATE SET
                    open_uploads = open_uploads + 1, charge = charge + \(charge(of: "NEW.offset"));
            UPDATE totals SET open_uploads = open_uploads + 1;
        END;
        CREATE TRIGGER uploads_advanced AFTER UPDATE OF offset ON uploads
            WHEN OLD.state = 0 AND NEW.state = 0 AND (NEW.offset + 4095) / 4096 <> (OLD.offset + 4095) / 4096 BEGIN
            UPDATE usage SET charge = charge + ((NEW.offset + 4095) / 4096 - (OLD.offset + 4095) / 4096) * 4096
                WHERE owner = OLD.owner;
        END;
        -- A completed upload is held for its rows alone: its bytes are its file's.
        CREATE TRIGGER uploads_closed AFTER UPDATE OF state ON uploads WHEN OLD.state = 0 AND NEW.state <> 0 BEGIN
            UPDATE usage SET open_uploads = open_uploads - 1,
                charge = charge - \(charge(of: "OLD.offset")),
                let_go = let_go + iif(NEW.state = 1, 512, \(charge(of: "NEW.offset")))
                WHERE owner = OLD.owner;
            UPDATE totals SET open_uploads = open_uploads - 1;
        END;
        CREATE TRIGGER uploads_deleted AFTER DELETE ON uploads WHEN OLD.state = 0 BEGIN
            UPDATE usage SET open_uploads = open_uploads - 1,
                charge = charge - \(charge(of: "OLD.offset")) WHERE owner = OLD.owner;
            UPDATE totals SET open_uploads = open_uploads - 1;
        END;
        CREATE TRIGGER closed_uploads_deleted AFTER DELETE ON uploads WHEN OLD.state <> 0 BEGIN
            UPDATE usage SET let_go = let_go - iif(OLD.state = 1, 512, \(charge(of: "OLD.offset")))
                WHERE owner = OLD.owner;
        END;

        """

    private static let fileCharges = """
        CREATE TRIGGER files_inserted AFTER INSERT ON files BEGIN
            INSERT INTO usage (owner, files, charge) VALUES (NEW.owner, 1, \(charge(of: "NEW.size")))
                ON CONFLICT (owner) DO UPDATE SET
                    files = files + 1, charge = charge + \(charge(of: "NEW.size"));
            UPDATE totals SET files = files + 1, last_file_id = NEW.id;
        END;
        CREATE TRIGGER files_deleted AFTER DELETE ON files BEGIN
            UPDATE usage SET files = files - 1, charge = charge - \(charge(of: "OLD.size"))
                WHERE owner = OLD.owner;
            UPDATE totals SET files = files - 1;
        END;
        -- Whoever lets go of a blob had a file of it, and so a row here.
        CREATE TRIGGER blobs_let_go AFTER UPDATE OF let_go_by ON blobs WHEN NEW.let_go_by IS NOT OLD.let_go_by BEGIN
            UPDATE usage SET let_go = let_go - \(charge(of: "OLD.size")) WHERE owner = OLD.let_go_by;
            UPDATE usage SET let_go = let_go + \(charge(of: "NEW.size")) WHERE owner = NEW.let_go_by;
        END;
        CREATE TRIGGER dying_blobs_deleted AFTER DELETE ON blobs WHEN OLD.let_go_by IS NOT NULL BEGIN
            UPDATE usage SET let_go = let_go - \(charge(of: "OLD.size")) WHERE owner = OLD.let_go_by;
        END;

        """

    private static let blobCounters = """
        CREATE TRIGGER blobs_inserted AFTER INSERT ON blobs BEGIN
            UPDATE totals SET blobs = blobs + 1, blob_bytes = blob_bytes + NEW.size;
        END;
        CREATE TRIGGER blobs_deleted AFTER DELETE ON blobs BEGIN
            UPDATE totals SET blobs = blobs - 1, blob_bytes = blob_bytes - OLD.size;
        END;

        """
}

extension WriterConnection {
    private static let secretByteCount = 32
    /// The first with STRICT tables and RETURNING.
    private static let oldestSQLite: CInt = 3_037_000

    /// Brings the database to the newest format.
    func bringUpToDate(_ db: Database) throws {
        guard Database.sqliteLibVersionNumber >= Self.oldestSQLite else {
            throw OperatorError("The SQLite library is too old: version 3.37 or newer is needed.")
        }
        guard try Self.format(of: db) != Schema.format else { return }
        // The lock first: another process may be about to do the same.
        try db.inTransaction(.immediate) {
            try Self.upgrade(db, role: role)
            return .commit
        }
    }

    /// - Throws: when the database was taken away meanwhile, and another one, or an empty one, has taken its place.
    ///   The next start tells the operator which it is.
    func checkFormat(of db: Database) throws {
        let isOurs: Bool
        do {
            isOurs = try Self.format(of: db) == Schema.format
        } catch is OperatorError {
            isOurs = false
        }
        guard isOurs else { throw BlobError(.unavailable(.catalogReplaced)) }
    }

    /// The key of the catalog's keyed hashes.
    func secret() throws -> [UInt8] {
        let select = "SELECT value FROM meta WHERE name = 'secret'"
        let secret = try execute { db in try db.first(select, [], as: { try $0.decode(Data.self, atIndex: 0) }) }
        guard let secret, secret.count == Self.secretByteCount else { throw DamagedRow(of: "meta") }
        return Array(secret)
    }

    /// - Throws: when the database is another program's, or of a format that this program does not know.
    private static func format(of db: Database) throws -> Int {
        let format = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let application = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let isEmpty = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") == 0
        guard application == Schema.applicationID || (application == 0 && format == 0 && isEmpty) else {
            throw OperatorError("The catalog's file is the database of another program.")
        }
        guard format <= Schema.format else {
            throw Schema.newerFormat(format)
        }
        return format
    }

    private static func upgrade(_ db: Database, role: LocalCatalog.Role) throws {
        let found = try format(of: db)
        if found == 0 {
            let secret = Data((0..<secretByteCount).map { _ in UInt8.random(in: .min ... .max) })
            try db.execute(sql: Schema.steps.joined())
            try db.execute(sql: "INSERT INTO meta (name, value) VALUES ('secret', ?)", arguments: [secret])
        } else {
            // A running server of the older version must not find its tables changed.
            guard role == .server || found == Schema.format else {
                throw OperatorError(
                    "The catalog is of format \(found): start this version's server once to bring it to format \(Schema.format)."
                )
            }
            try db.execute(sql: Schema.steps[found...].joined())
        }
        try db.execute(sql: "PRAGMA application_id = \(Schema.applicationID)")
        try db.execute(sql: "PRAGMA user_version = \(Schema.format)")
    }
}
