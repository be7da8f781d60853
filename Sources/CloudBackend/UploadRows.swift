// The table `uploads`.

public import BlobCore
@_spi(Catalogs) public import BlobStorage
public import struct Foundation.Date
import PostgresPool

enum UploadRows {
    private static let columns = Upload.columns(offset: "byte_offset")
    private static let open = StoredUploadState.open.rawValue
    private static let completed = StoredUploadState.completed.rawValue
    private static let failed = StoredUploadState.failed.rawValue

    static let select = "SELECT \(columns) FROM uploads WHERE id = $1 AND expires > (SELECT coalesce($2, now_ms()))"
    static let firstOpen = """
        SELECT \(columns) FROM uploads WHERE state = \(open) AND expires > (SELECT coalesce($1, now_ms()))
            ORDER BY id LIMIT $2
        """
    static let openAfter = """
        SELECT \(columns) FROM uploads WHERE state = \(open) AND expires > (SELECT coalesce($1, now_ms())) AND id > $3
            ORDER BY id LIMIT $2
        """
    static let create = """
        SELECT create_upload(
            p_id => $1, p_owner => $2, p_name => $3, p_temporary => $4, p_expires => $5, p_epoch => $6, p_offset => $7,
            p_announced => $8, p_digest_state => $9, p_limit => $10, p_path => $11,
            p_quota => $12
        )
        """
    /// The function is called for a row of the owner's alone.
    static let claim = """
        SELECT \(columns) FROM (
            SELECT claimed.* FROM uploads asked, LATERAL claim_upload(asked.id, $2) claimed
                WHERE asked.id = $1 AND asked.owner = $3
        ) claimed
        """
    static let advance = """
        SELECT refusal, told_offset FROM advance_upload(
            p_id => $1, p_epoch => $2, p_offset => $3, p_new_offset => $4, p_digest_state => $5, p_expires => $6,
            p_announcing => $7, p_now => $8, p_owner => $9, p_quota => $10
        )
        """
    static let announce = "UPDATE uploads SET announced = $2 WHERE id = $1 AND announced < $2"
    static let fail = """
        UPDATE uploads SET state = \(failed) WHERE id = $1 AND state = \(open) AND epoch <= $2
        """
    static let complete = """
        SELECT refusal, new_file_id, completed FROM complete_upload(
            p_id => $1, p_epoch => $2, p_offset => $3, p_size => $4, p_digest_state => $5, p_digest => $6,
            p_expires => $7, p_file_expires => $8, p_now => $9, p_owner => $10, p_quota => $11
        )
        """
    static let delete = """
        DELETE FROM uploads WHERE id = $1 AND owner = $3 AND state <> \(completed) AND expires > (SELECT coalesce($2, now_ms()))
            RETURNING id
        """

    /// What a function says when it refuses a change that its caller has a lease for.
    static func refusal(_ text: String?) -> BlobError? {
        switch text {
        case nil: nil
        case "unknown": .uploadUnknown
        default: .uploadSuperseded
        }
    }
}

extension CloudCatalog {
    public func create(_ upload: Upload, openUploadLimit limit: Int, quota: Int64?) async throws(BlobError) {
        let open = try await database.only(
            UploadRows.create,
            [
                .uuid(upload.id.uuid), .text(upload.owner.name), .text(upload.name?.text), .flag(upload.isTemporary),
                .time(upload.expires), .integer(0), .integer(upload.offset), .integer(upload.announced),
                .bytes(upload.digest.encoded), limit == .max ? .integer(nil) : .limit(limit),
                .text(upload.path?.text), .integer(quota),
            ],
            isRepeatable: true
        ) { row throws(PostgresError) in try row.optionalInteger(0) }
        if let open { throw BlobError(.tooManyUploads(open: open)) }
    }

    public func upload(_ id: UploadID) async throws(BlobError) -> Upload? {
        try await database.first(UploadRows.select, [.uuid(id.uuid), database.now], as: Upload.init(row:))
    }

    public func openUploads(after id: UploadID?, limit: Int) async throws(BlobError) -> [Upload] {
        guard let id else {
            return try await database.rows(UploadRows.firstOpen, [database.now, .limit(limit)], as: Upload.init(row:))
        }
        return try await database.rows(
            UploadRows.openAfter, [database.now, .limit(limit), .uuid(id.uuid)], as: Upload.init(row:)
        )
    }

    public func claim(_ id: UploadID, of owner: Subject) async throws(BlobError) -> Claimed {
        let row = try await database.first(
            UploadRows.claim, [.uuid(id.uuid), database.now, .text(owner.name)], as: Claimed.init(row:)
        )
        guard let row else { throw .uploadUnknown }
        guard let claimed = row else { throw .uploadFailed }
        return claimed
    }

    public func advance(
        _ lease: Lease, to digest: RunningDigest, expires: Date, announcing: Bool, quota: Int64?
    ) async throws(BlobError) -> Lease {
        let (refusal, announced) = try await database.only(
            UploadRows.advance,
            [
                .uuid(lease.id.uuid), .integer(lease.epoch), .integer(lease.offset), .integer(digest.count),
                .bytes(digest.encoded), .time(expires), .flag(announcing), database.now,
                .text(lease.upload.owner.name), .integer(quota),
            ],
            isRepeatable: false
        ) { row throws(PostgresError) in (try row.optionalText(0), try row.optionalInteger(1)) }
        if let refusal = UploadRows.refusal(refusal) { throw refusal }
        return lease.advanced(
            to: digest, expires: Timestamp(expires).date, announced: announced ?? lease.upload.announced
        )
    }

    public func announce(_ offset: Int64, of id: UploadID) async throws(BlobError) {
        try await database.run(UploadRows.announce, [.uuid(id.uuid), .integer(offset)], isRepeatable: true)
    }

    public func fail(_ lease: Lease) async throws(BlobError) {
        try await database.run(UploadRows.fail, [.uuid(lease.id.uuid), .integer(lease.epoch)], isRepeatable: true)
    }

    public func complete(
        _ lease: Lease, with digest: RunningDigest, expires: Date, fileExpires: Date?, quota: Int64?
    ) async throws(BlobError) -> File {
        let (upload, blob) = (lease.upload, digest.digest)
        let result = try await database.only(
            UploadRows.complete,
            [
                .uuid(lease.id.uuid), .integer(lease.epoch), .integer(lease.offset), .integer(digest.count),
                .bytes(digest.encoded), .digest(blob), .time(expires), .time(fileExpires), database.now,
                .text(upload.owner.name), .integer(quota),
            ],
            isRepeatable: false
        ) { row throws(PostgresError) -> Result<(id: FileID, created: Date), BlobError> in
            if let refusal = UploadRows.refusal(try row.optionalText(0)) { return .failure(refusal) }
            guard let id = FileID(value: try row.integer(1)) else { throw .damagedRow(of: "files") }
            return .success((id, try row.time(2)))
        }
        let (id, created) = try result.get()
        return File(
            id: id, digest: blob, owner: upload.owner, name: upload.name ?? FileName(blob), size: digest.count,
            path: upload.path, created: created, expires: fileExpires.map { Timestamp($0).date }
        )
    }

    public func destroy(_ id: UploadID, of owner: Subject) async throws(BlobError) {
        let removed = try await database.first(
            UploadRows.delete, [.uuid(id.uuid), database.now, .text(owner.name)], isRepeatable: false
        ) { row throws(PostgresError) in try row.uuid(0) }
        guard removed != nil else { throw .uploadUnknown }
    }
}
