// The numbers: the counters, which triggers keep, and the open uploads, which are counted.

public import BlobCore
public import BlobStorage
import PostgresPool

enum UsageRows {
    private static let most = "9223372036854775807"

    static let usage = "SELECT charge, let_go, open_uploads FROM usage_of($1)"
    /// The open uploads come from an index that holds no others: of 100,000 they take some hundredths of a second.
    static let statistics = """
        SELECT (SELECT count(*) FROM uploads WHERE state = \(StoredUploadState.open.rawValue)), sum(blobs)::BIGINT,
            (SELECT sum(files)::BIGINT FROM totals), least(sum(blob_bytes), \(most))::BIGINT
            FROM blob_totals
        """

    /// Counters that disagree with the rows that they count, and files and blobs that disagree with each other. One
    /// statement, so that nothing changes while they are compared.
    static let faults = """
        SELECT 'the counters of ' || owner || ' are wrong' FROM (
            SELECT owner, count(*) AS files, sum(size) AS bytes, sum(charge(size)) AS charge, 0 AS let_go
                FROM files GROUP BY owner
            UNION ALL SELECT owner, 0, 0, 0, sum(charge_of_row(state, byte_offset))
                FROM uploads WHERE state <> \(StoredUploadState.open.rawValue) GROUP BY owner
            UNION ALL SELECT let_go_by, 0, 0, 0, sum(charge(size)) FROM blobs GROUP BY let_go_by
            UNION ALL SELECT let_go_by, 0, 0, 0, sum(charge(size) - 512) FROM contents GROUP BY let_go_by
            UNION ALL SELECT let_go_by, 0, 0, 0, sum(charge(size) - 512) FROM released GROUP BY let_go_by
            UNION ALL SELECT owner, -sum(files), -sum(file_bytes), -sum(charge), -sum(let_go) FROM usage GROUP BY owner
        ) AS counted WHERE owner IS NOT NULL GROUP BY owner
            HAVING sum(files) <> 0 OR sum(bytes) <> 0 OR sum(charge) <> 0 OR sum(let_go) <> 0
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
            row throws(PostgresError) in
            Usage(charge: try row.integer(0), letGo: try row.integer(1), openUploads: try row.integer(2))
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
