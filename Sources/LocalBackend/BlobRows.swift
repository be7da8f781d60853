// The table `blobs`: which digests have bytes, and which of them are dying.

public import BlobCore
public import BlobStorage
import Foundation
import GRDB

enum BlobRows {
    static let insert = """
        INSERT INTO blobs (digest, size) VALUES (?, ?)
            ON CONFLICT (digest) DO UPDATE SET dying_since = NULL, let_go_by = NULL, condition = 0
                WHERE dying_since IS NOT NULL OR condition <> 0
        """
    static let letDie = """
        UPDATE blobs SET dying_since = ?2, let_go_by = ?3
            WHERE digest = ?1 AND dying_since IS NULL AND NOT EXISTS (SELECT 1 FROM files WHERE digest = ?1)
        """
    static let recordsAfter = "SELECT \(BlobRecord.columns) FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?"
    // The first term lets SQLite use the index, which holds nothing else.
    static let suspected = """
        SELECT \(BlobRecord.columns) FROM blobs WHERE condition <> 0 AND condition = \(suspicion) LIMIT ?
        """
    static let setCondition = """
        UPDATE blobs SET condition = ?2
            WHERE digest = ?1 AND condition <> ?2 AND (?2 <> \(suspicion) OR condition <> \(damage))
        """
    private static let suspicion = BlobCondition.suspected.rawValue
    private static let damage = BlobCondition.damaged.rawValue
    static let isKnown = "SELECT 1 FROM blobs WHERE digest = ?"
    static let dying = "SELECT digest FROM blobs WHERE dying_since <= ?1 ORDER BY dying_since LIMIT ?2"
    static let delete = "DELETE FROM blobs WHERE digest = ?1 AND dying_since <= ?2"

    /// Records a blob, or revives it.
    static func makeLive(_ digest: BlobDigest, size: Int64, in db: Database) throws {
        try db.change(insert, [digest.data, size])
    }

    /// Lets a blob begin to die if no file points at it any more; the owner of the last one has let go of it.
    static func letDie(_ digest: BlobDigest, by owner: String, at now: Timestamp, in db: Database) throws {
        try db.change(letDie, [digest.data, now, owner])
    }
}

extension LocalCatalog {
    public func blobRecords(after digest: BlobDigest?, limit: Int) async throws(BlobError) -> [BlobRecord] {
        try await read { db, _ in
            // Every digest comes after no bytes.
            try db.all(BlobRows.recordsAfter, [digest?.data ?? Data(), max(0, limit)], as: BlobRecord.init(row:))
        }
    }

    public func suspectedBlobs(limit: Int) async throws(BlobError) -> [BlobRecord] {
        try await read { db, _ in try db.all(BlobRows.suspected, [max(0, limit)], as: BlobRecord.init(row:)) }
    }

    /// The one process that moves bytes keeps publishing and condemning apart: places are nothing to this catalog.
    public func setCondition(
        _ condition: BlobCondition, of digest: BlobDigest, at place: FileIdentity?
    ) async throws(BlobError) -> Bool {
        try await write { db, _ in
            if try db.change(BlobRows.setCondition, [digest.data, condition.rawValue]) { return true }
            return try db.first(BlobRows.isKnown, [digest.data]) { _ in true } != nil
        }
    }

    public func dyingBlobs(for grace: Duration, limit: Int) async throws(BlobError) -> [BlobDigest] {
        try await read { db, now in try db.all(BlobRows.dying, [now - grace, max(0, limit)]) { try $0.digest(0) } }
    }

    public func unknownBlobs(among digests: [BlobDigest]) async throws(BlobError) -> [BlobDigest] {
        try await readSnapshot(isScan: true) { db, _ in
            try digests.filter { digest in try db.first(BlobRows.isKnown, [digest.data]) { _ in true } == nil }
        }
    }

    public func removeBlob(_ digest: BlobDigest, dyingFor grace: Duration) async throws(BlobError) -> Bool {
        try await write { db, now in try db.change(BlobRows.delete, [digest.data, now - grace]) }
    }
}
