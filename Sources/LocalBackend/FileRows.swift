// The table `files`, one row at a time. Its lists are in FileLists.

public import BlobCore
public import BlobStorage
import struct Foundation.UUID
import GRDB

enum FileRows {
    /// A file past its expiry is gone for everybody, though its row stays until it is reclaimed.
    static let isLive = "(expires IS NULL OR expires > :now)"

    static let insert = """
        INSERT INTO files (\(File.columns), temporary) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7 IS NOT NULL)
        """
    static let select = "SELECT \(File.columns) FROM files WHERE id = :id AND \(isLive)"
    static let namesake = """
        SELECT size, name, expires, (SELECT condition FROM blobs WHERE digest = :digest) FROM files
            WHERE digest = :digest AND \(isLive) ORDER BY temporary, id LIMIT 1
        """
    static let lastExpiry = "SELECT max(expires) FROM files WHERE digest = ? AND expires IS NOT NULL"
    static let delete = """
        DELETE FROM files WHERE id = :id AND \(isLive) AND (:owner IS NULL OR owner = :owner)
            RETURNING digest, owner
        """
    static let deleteExpired = """
        DELETE FROM files WHERE id IN (SELECT id FROM files WHERE expires <= ?1 ORDER BY expires LIMIT ?2)
            RETURNING id, digest, owner
        """

    static func insert(_ file: File, in db: Database) throws {
        try db.change(
            insert,
            [
                file.id.value, file.digest.data, file.owner.name, file.name.text, file.size, Timestamp(file.created),
                file.expires.map(Timestamp.init), file.path?.text,
            ]
        )
    }
}

extension LocalCatalog {
    public func file(_ id: FileID) async throws(BlobError) -> File? {
        try await read { db, now in try db.first(FileRows.select, [id.value, now], as: { try File(row: $0) }) }
    }

    public func located(_ digest: BlobDigest) async throws(BlobError) -> LocatedBlob<FileIdentity>? {
        try await read { db, now in
            let blob = try db.first(FileRows.namesake, [digest.data, now]) { row in
                Blob(
                    digest: digest, size: try row.integer(0), name: FileName(trusted: try row.text(1)),
                    expires: try row.optionalTime(2), condition: try row.condition(3)
                )
            }
            // A permanent file's blob never goes. One of temporary files goes with the last of them.
            guard let blob, blob.expires != nil else { return blob.map { LocatedBlob($0, at: nil) } }
            let expires = try db.first(FileRows.lastExpiry, [digest.data]) { try $0.optionalTime(0) }
            let temporary = Blob(
                digest: digest, size: blob.size, name: blob.name, expires: expires ?? blob.expires,
                condition: blob.condition
            )
            return LocatedBlob(temporary, at: nil)
        }
    }

    public func destroyFile(_ id: FileID, of owner: Subject?) async throws(BlobError) {
        try await write { db, now in
            let file = try db.first(FileRows.delete, [id.value, now, owner?.name]) { row in
                (digest: try row.digest(0), owner: try row.text(1))
            }
            guard let file else { throw BlobError.fileUnknown }
            try BlobRows.letDie(file.digest, by: file.owner, at: now, in: db)
        }
    }

    public func removeExpired(limit: Int) async throws(BlobError) -> ExpiredRows {
        // SQLite takes a negative limit as none.
        let limit = max(0, limit)
        return try await write { db, now in
            let files = try db.all(FileRows.deleteExpired, [now, limit]) { row in
                (id: try row.integer(0), digest: try row.digest(1), owner: try row.text(2))
            }
            // Of several that were the last at the same time, the newest is taken for it.
            for file in files.sorted(by: { $0.id > $1.id }) {
                try BlobRows.letDie(file.digest, by: file.owner, at: now, in: db)
            }
            let uploads = try db.all(UploadRows.deleteExpired, [now, limit]) { row in
                UploadID(try row.decode(UUID.self, atIndex: 0))
            }
            return ExpiredRows(uploads: Set(uploads), fileCount: files.count)
        }
    }
}
