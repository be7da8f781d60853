// The numbers: the counters, which triggers keep (see FileCounters), and the open uploads, which are counted.

public import BlobCore
public import BlobStorage
import PostgresPool

enum UsageRows {
    private static let most = "9223372036854775807"

    static let usage = """
        SELECT least(
                (SELECT coalesce(sum(file_bytes), 0) FROM usage WHERE owner = $1) + coalesce(sum(byte_offset), 0),
                \(most)
            )::BIGINT,
            count(*)
            FROM uploads WHERE owner = $1 AND state = \(StoredUploadState.open.rawValue)
        """
    /// The open uploads come from an index that holds no others: of 100,000 they take some hundredths of a second.
    static let statistics = """
        SELECT (SELECT count(*) FROM uploads WHERE state = \(StoredUploadState.open.rawValue)), sum(blobs)::BIGINT,
            (SELECT sum(files)::BIGINT FROM totals), least(sum(blob_bytes), \(most))::BIGINT
            FROM blob_totals
        """

    /// Counters that disagree with the rows that they count, and files and blobs that disagree with each other. One
    /// statement, so that nothing changes while they are compared.
    static let faults = """
        SELECT 'the counters of ' || owner || ' are wrong' FROM
            (SELECT owner, sum(files) AS files, sum(file_bytes) AS bytes FROM usage GROUP BY owner) AS counted
            FULL JOIN (SELECT owner, count(*) AS files, sum(size) AS bytes FROM files GROUP BY owner) AS real
            USING (owner)
            WHERE coalesce(counted.files, 0) <> coalesce(real.files, 0)
                OR coalesce(counted.bytes, 0) <> coalesce(real.bytes, 0)
        UNION ALL SELECT 'the counters of all owners are wrong'
            WHERE (SELECT sum(files) FROM totals) <> (SELECT count(*) FROM files)
                OR (SELECT sum(blobs) FROM blob_totals) <> (SELECT count(*) FROM blobs)
                OR (SELECT sum(blob_bytes) FROM blob_totals) <> (SELECT coalesce(sum(size), 0) FROM blobs)
        UNION ALL SELECT CASE
            WHEN blobs.size IS NULL THEN 'the file ' || id || ' speaks of a blob that is not there'
            WHEN id IS NULL THEN 'no file points at the blob ' || encode(digest, 'hex') || ', but it is not dying'
            WHEN dying_since IS NOT NULL THEN 'the blob ' || encode(digest, 'hex') || ' is dying, but a file points at it'
            ELSE 'the file ' || id || ' is not of the size of its blob'
            END
            FROM files FULL JOIN blobs USING (digest)
            WHERE blobs.size IS NULL OR (id IS NULL) = (dying_since IS NULL) OR files.size <> blobs.size
        """
}

extension CloudCatalog {
    public func usage(of subject: Subject) async throws(BlobError) -> Usage {
        try await database.only(UsageRows.usage, [.text(subject.name)], isRepeatable: true) {
            row throws(PostgresError) in Usage(bytes: try row.integer(0), openUploads: try row.integer(1))
        }
    }

    public func statistics() async throws(BlobError) -> Statistics {
        try await database.only(UsageRows.statistics, [], isRepeatable: true) { row throws(PostgresError) in
            Statistics(
                openUploads: try row.integer(0), blobs: try row.integer(1), files: try row.integer(2),
                blobBytes: try row.integer(3)
            )
        }
    }
}
