// The counters: the tables `usage` and `totals`, which triggers keep (see Schema).

public import BlobCore
public import BlobStorage
import GRDB

enum UsageRows {
    static let usage = "SELECT charge, let_go, open_uploads FROM usage WHERE owner = ?"
    static let totals = "SELECT open_uploads, blobs, files, blob_bytes FROM totals"
    static let lastFileID = "SELECT last_file_id FROM totals"
    static let filesOfOwner = "SELECT files FROM usage WHERE owner = ?"
    static let filesOfAll = "SELECT files FROM totals"

    /// Counters that disagree with the rows that they count.
    static let wrongCounters = """
        WITH counted (owner, open_uploads, files, charge, let_go) AS (
            SELECT owner, 0, count(*), sum(\(Schema.charge(of: "size"))), 0 FROM files GROUP BY owner
            UNION ALL SELECT owner, count(*), 0, sum(\(Schema.charge(of: "offset"))), 0
                FROM uploads WHERE state = 0 GROUP BY owner
            UNION ALL SELECT owner, 0, 0, 0, sum(iif(state = 1, 512, \(Schema.charge(of: "offset"))))
                FROM uploads WHERE state <> 0 GROUP BY owner
            UNION ALL SELECT let_go_by, 0, 0, 0, sum(\(Schema.charge(of: "size")))
                FROM blobs WHERE let_go_by IS NOT NULL GROUP BY let_go_by
            UNION ALL SELECT owner, -open_uploads, -files, -charge, -let_go FROM usage
        )
        SELECT owner FROM counted GROUP BY owner
            HAVING sum(open_uploads) <> 0 OR sum(files) <> 0 OR sum(charge) <> 0 OR sum(let_go) <> 0
        UNION ALL SELECT 'all owners' FROM totals WHERE blobs <> (SELECT count(*) FROM blobs)
            OR blob_bytes <> (SELECT total(size) FROM blobs) OR files <> (SELECT count(*) FROM files)
            OR open_uploads <> (SELECT count(*) FROM uploads WHERE state = 0)
        """

    static func usage(of subject: Subject, in db: Database) throws -> Usage {
        try db.first(usage, [subject.name]) { row in
            Usage(charge: try row.integer(0), letGo: try row.integer(1), openUploads: try row.integer(2))
        } ?? Usage()
    }

    /// Undoes a change that added to what a subject takes up, where the quota has no room for it.
    static func hold(_ quota: Int64?, of subject: Subject, in db: Database) throws {
        guard let quota else { return }
        guard try usage(of: subject, in: db).room(within: quota) >= 0 else { throw BlobError(.quotaUsedUp) }
    }

    static func files(of owner: Subject?, in db: Database) throws -> Int64 {
        let files =
            if let owner {
                try db.first(filesOfOwner, [owner.name]) { try $0.integer(0) }
            } else {
                try db.first(filesOfAll, []) { try $0.integer(0) }
            }
        return files ?? 0
    }

    static func lastFileID(in db: Database) throws -> FileID? {
        try db.first(lastFileID, []) { try $0.decode(Int64?.self, atIndex: 0) }?.flatMap(FileID.init(value:))
    }
}

extension LocalCatalog {
    public func usage(of subject: Subject) async throws(BlobError) -> Usage {
        try await read { db, _ in try UsageRows.usage(of: subject, in: db) }
    }

    public func statistics() async throws(BlobError) -> Statistics {
        try await read { db, _ in
            let statistics = try db.first(UsageRows.totals, []) { row in
                Statistics(
                    openUploads: try row.integer(0), blobs: try row.integer(1), files: try row.integer(2),
                    blobBytes: try row.integer(3)
                )
            }
            guard let statistics else { throw DamagedRow(of: "totals") }
            return statistics
        }
    }
}
