// The counters: the tables `usage` and `totals`, which triggers keep (see Schema).

public import BlobCore
public import BlobStorage
import GRDB

enum UsageRows {
    static let usage = "SELECT open_uploads, upload_bytes, file_bytes FROM usage WHERE owner = ?"
    static let totals = "SELECT open_uploads, blobs, files, blob_bytes FROM totals"
    static let lastFileID = "SELECT last_file_id FROM totals"
    static let filesOfOwner = "SELECT files FROM usage WHERE owner = ?"
    static let filesOfAll = "SELECT files FROM totals"

    /// Counters that disagree with the rows that they count.
    static let wrongCounters = """
        SELECT owner FROM usage WHERE open_uploads <> (SELECT count(*) FROM uploads WHERE owner = usage.owner AND state = 0)
            OR upload_bytes <> (SELECT total(offset) FROM uploads WHERE owner = usage.owner AND state = 0)
            OR files <> (SELECT count(*) FROM files WHERE owner = usage.owner)
            OR file_bytes <> (SELECT total(size) FROM files WHERE owner = usage.owner)
        UNION ALL SELECT 'all owners' FROM totals WHERE blobs <> (SELECT count(*) FROM blobs)
            OR blob_bytes <> (SELECT total(size) FROM blobs) OR files <> (SELECT count(*) FROM files)
            OR open_uploads <> (SELECT count(*) FROM uploads WHERE state = 0)
        """

    static func usage(of subject: Subject, in db: Database) throws -> Usage {
        try db.first(usage, [subject.name]) { row in
            let (bytes, overflow) = try row.integer(1).addingReportingOverflow(try row.integer(2))
            return Usage(bytes: overflow ? .max : bytes, openUploads: try row.integer(0))
        } ?? Usage()
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
