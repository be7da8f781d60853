// The table `files`, one row at a time. Its lists are in FileLists.

public import BlobCore
public import BlobStorage
import PostgresPool

enum FileRows {
    // A file past its expiry is gone for everybody, though its row stays until it is reclaimed.
    static let select = """
        SELECT \(File.columns) FROM files
            WHERE id = $1 AND (expires IS NULL OR expires > (SELECT coalesce($2, now_ms())))
        """
    /// The file that names a blob, and when the blob's last file goes. A permanent file's blob never goes. Then the
    /// object that holds its bytes, where it is one.
    static let namesake = """
        SELECT file.size, file.name, CASE WHEN expires IS NULL THEN NULL ELSE
                (SELECT max(expires) FROM files WHERE digest = $1 AND expires IS NOT NULL) END,
            (SELECT condition FROM blobs WHERE digest = $1),
            content.id, upload, content.size, start, piece.size, piece.name, etag
            FROM (
                SELECT size, name, expires FROM files
                    WHERE digest = $1 AND (expires IS NULL OR expires > (SELECT coalesce($2, now_ms())))
                    ORDER BY temporary, id LIMIT 1
            ) AS file
            LEFT JOIN contents AS content ON content.digest = $1 AND state = \(ContentState.live.rawValue) AND piece_count = 1
            LEFT JOIN pieces AS piece ON piece.content = content.id
        """
    static let destroy = "SELECT destroy_file($1, $2, $3)"
    static let removeExpired = "SELECT upload, file_count FROM remove_expired($1, $2)"
}

extension CloudCatalog {
    public func file(_ id: FileID) async throws(BlobError) -> File? {
        try await database.first(FileRows.select, [.integer(id.value), database.now]) { row throws(PostgresError) in
            try File(row: row)
        }
    }

    public func located(_ digest: BlobDigest) async throws(BlobError) -> LocatedBlob<StoredContent>? {
        try await database.first(FileRows.namesake, [.digest(digest), database.now]) { row throws(PostgresError) in
            let hasPlace = try row.optionalInteger(4) != nil
            let blob = Blob(
                digest: digest, size: try row.integer(0), name: FileName(trusted: try row.text(1)),
                expires: try row.optionalTime(2), condition: try row.condition(3)
            )
            return LocatedBlob(blob, at: hasPlace ? try StoredContent([try ContentRow(row, from: 4)]) : nil)
        }
    }

    public func destroyFile(_ id: FileID, of owner: Subject?) async throws(BlobError) {
        let wasThere = try await database.only(
            FileRows.destroy, [.integer(id.value), .text(owner?.name), database.now], isRepeatable: false
        ) { row throws(PostgresError) in try row.flag(0) }
        guard wasThere else { throw .fileUnknown }
    }

    public func removeExpired(limit: Int) async throws(BlobError) -> ExpiredRows {
        let removed = try await database.rows(
            FileRows.removeExpired, [.limit(limit), database.now], isRepeatable: false, timeout: .seconds(60)
        ) { row throws(PostgresError) in (upload: try row.optionalUUID(0), files: try row.optionalInteger(1)) }
        return ExpiredRows(
            uploads: Set(removed.compactMap(\.upload).map(UploadID.init)),
            fileCount: Int(clamping: removed.compactMap(\.files).first ?? 0)
        )
    }
}
