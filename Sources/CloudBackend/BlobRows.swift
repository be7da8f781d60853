// The table `blobs`: which digests have bytes, and which of them are dying.

public import BlobCore
public import BlobStorage
import PostgresPool

enum BlobRows {
    static let recordsAfter = "SELECT \(BlobRecord.columns) FROM blobs WHERE digest > $1 ORDER BY digest LIMIT $2"
    // The first term lets the server use the index, which holds nothing else.
    static let suspected = """
        SELECT \(BlobRecord.columns) FROM blobs WHERE condition <> 0 AND condition = \(BlobCondition.suspected.rawValue) LIMIT $1
        """
    static let judge = "SELECT judge_content($1, $2, $3)"
    static let unknown = """
        SELECT wanted FROM unnest($1) WITH ORDINALITY AS list (wanted, place)
            WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE digest = wanted) ORDER BY place
        """
    static let dying = """
        SELECT digest FROM blobs WHERE dying_since <= coalesce($1, now_ms()) - $2
            ORDER BY dying_since LIMIT $3
        """
    static let delete = "SELECT remove_blob($1, $2, $3)"
}

extension Database {
    /// Records the condition of a blob's bytes, if they are those of this content; `nil`: if it has none.
    func setCondition(
        _ condition: BlobCondition, of digest: BlobDigest, at content: StoredContent?
    ) async throws(BlobError) -> Bool {
        try await only(
            BlobRows.judge, [.digest(digest), .integer(content?.id), .integer(condition.rawValue)],
            // The second time, damaged bytes are in quarantine already: whoever is told so looks again.
            isRepeatable: true
        ) { row throws(PostgresError) in try row.flag(0) }
    }
}

extension CloudCatalog {
    public func blobRecords(after digest: BlobDigest?, limit: Int) async throws(BlobError) -> [BlobRecord] {
        // Every digest comes after no bytes.
        try await database.rows(
            BlobRows.recordsAfter, [.bytes(digest?.bytes ?? []), .limit(limit)], as: BlobRecord.init(row:)
        )
    }

    public func suspectedBlobs(limit: Int) async throws(BlobError) -> [BlobRecord] {
        try await database.rows(BlobRows.suspected, [.limit(limit)], as: BlobRecord.init(row:))
    }

    public func setCondition(
        _ condition: BlobCondition, of digest: BlobDigest, at place: StoredContent?
    ) async throws(BlobError) -> Bool {
        try await database.setCondition(condition, of: digest, at: place)
    }

    public func dyingBlobs(for grace: Duration, limit: Int) async throws(BlobError) -> [BlobDigest] {
        try await database.rows(BlobRows.dying, [database.now, .milliseconds(grace), .limit(limit)]) {
            row throws(PostgresError) in try row.digest(0)
        }
    }

    public func unknownBlobs(among digests: [BlobDigest]) async throws(BlobError) -> [BlobDigest] {
        try await database.rows(BlobRows.unknown, [.byteStrings(digests.map(\.bytes))]) {
            row throws(PostgresError) in try row.digest(0)
        }
    }

    public func removeBlob(_ digest: BlobDigest, dyingFor grace: Duration) async throws(BlobError) -> Bool {
        try await database.only(
            BlobRows.delete, [.digest(digest), .milliseconds(grace), database.now], isRepeatable: false
        ) { row throws(PostgresError) in try row.flag(0) }
    }
}
