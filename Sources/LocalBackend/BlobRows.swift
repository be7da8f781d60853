// The table `blobs`: which digests have bytes, and which of them are dying.

public import BlobCore
import BlobStorage
import GRDB

enum BlobRows {
    static let insert = """
        INSERT INTO blobs (digest, size) VALUES (?, ?)
            ON CONFLICT (digest) DO UPDATE SET dying_since = NULL WHERE dying_since IS NOT NULL
        """
    static let letDie = """
        UPDATE blobs SET dying_since = ?2
            WHERE digest = ?1 AND dying_since IS NULL AND NOT EXISTS (SELECT 1 FROM files WHERE digest = ?1)
        """
    static let isKnown = "SELECT 1 FROM blobs WHERE digest = ?"
    static let dying = "SELECT digest FROM blobs WHERE dying_since <= ?1 ORDER BY dying_since LIMIT ?2"
    static let delete = "DELETE FROM blobs WHERE digest = ?1 AND dying_since <= ?2"

    /// Records a blob, or revives it.
    static func makeLive(_ digest: BlobDigest, size: Int64, in db: Database) throws {
        try db.change(insert, [digest.data, size])
    }

    /// Lets a blob begin to die if no file points at it any more.
    static func letDie(_ digest: BlobDigest, at now: Timestamp, in db: Database) throws {
        try db.change(letDie, [digest.data, now])
    }
}

extension LocalCatalog {
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
