// The table `uploads`.

public import BlobCore
public import BlobStorage
public import struct Foundation.Date
import PostgresPool

enum UploadRows {
    private static let columns = """
        id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state, file_id, file_digest, \
        file_created, file_expires, path
        """
    static let select = "SELECT \(columns) FROM uploads WHERE id = $1 AND expires > (SELECT coalesce($2, now_ms()))"
    static let open = """
        SELECT \(columns) FROM uploads WHERE state = 0 AND expires > (SELECT coalesce($1, now_ms()))
            ORDER BY id LIMIT $2
        """
    static let openAfter = """
        SELECT \(columns) FROM uploads WHERE state = 0 AND expires > (SELECT coalesce($1, now_ms())) AND id > $3
            ORDER BY id LIMIT $2
        """
    static let create = "SELECT create_upload($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    /// The function is called for a row of the owner's alone.
    static let claim = """
        SELECT \(columns) FROM (
            SELECT claimed.* FROM uploads asked, LATERAL claim_upload(asked.id, $2) claimed
                WHERE asked.id = $1 AND asked.owner = $3
        ) claimed
        """
    static let advance = "SELECT refusal, told_offset FROM advance_upload($1, $2, $3, $4, $5, $6, $7, $8)"
    static let announce = "UPDATE uploads SET announced = $2 WHERE id = $1 AND announced < $2"
    static let fail = "UPDATE uploads SET state = 2 WHERE id = $1 AND state = 0 AND epoch <= $2"
    static let complete = """
        SELECT refusal, new_file_id, completed FROM complete_upload($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """
    static let delete = """
        DELETE FROM uploads WHERE id = $1 AND owner = $3 AND state <> 1 AND expires > (SELECT coalesce($2, now_ms()))
            RETURNING id
        """

    /// What a function says when it refuses a change of an upload that its caller had claimed.
    static func refusal(_ text: String?) -> BlobError? {
        switch text {
        case nil: nil
        case "unknown": .uploadUnknown
        default: .uploadSuperseded
        }
    }
}

extension Upload {
    fileprivate init(row: PostgresRow) throws(PostgresError) {
        guard let digest = RunningDigest(encoded: try row.bytes(8)) else { throw .damagedRow(of: "uploads") }
        self.init(
            id: UploadID(try row.uuid(0)), owner: Subject(try row.text(1)),
            name: try row.optionalText(2).map(FileName.init(trusted:)), isTemporary: try row.flag(3),
            path: try row.optionalText(14).map(RelativePath.init(trusted:)), expires: try row.time(4)
        )
        epoch = try row.integer(5)
        offset = try row.integer(6)
        guard digest.count == offset else { throw .damagedRow(of: "uploads") }
        announced = try row.integer(7)
        self.digest = digest
        switch try row.integer(9) {
        case 0: state = .open
        case 1: state = .completed(try file(row: row))
        case 2: state = .failed
        default: throw .damagedRow(of: "uploads")
        }
    }

    private func file(row: PostgresRow) throws(PostgresError) -> File {
        guard let id = FileID(value: try row.integer(10)) else { throw .damagedRow(of: "uploads") }
        let digest = try row.digest(11)
        return File(
            id: id, digest: digest, owner: owner, name: name ?? FileName(digest), size: offset,
            isTemporary: isTemporary, path: path, created: try row.time(12), expires: try row.optionalTime(13)
        )
    }
}

extension CloudCatalog {
    public func create(_ upload: Upload, openUploadLimit limit: Int) async throws(BlobError) {
        let open = try await database.only(
            UploadRows.create,
            [
                .uuid(upload.id.uuid), .text(upload.owner.name), .text(upload.name?.text), .flag(upload.isTemporary),
                .time(upload.expires), .integer(upload.epoch), .integer(upload.offset), .integer(upload.announced),
                .bytes(upload.digest.encoded), limit == .max ? .integer(nil) : .limit(limit),
                .text(upload.path?.text),
            ],
            isRepeatable: true
        ) { row throws(PostgresError) in try row.optionalInteger(0) }
        if let open { throw BlobError(.tooManyUploads, "The owner has \(open) open uploads already.") }
    }

    public func upload(_ id: UploadID) async throws(BlobError) -> Upload? {
        try await database.first(UploadRows.select, [.uuid(id.uuid), database.now], as: Upload.init(row:))
    }

    public func openUploads(after id: UploadID?, limit: Int) async throws(BlobError) -> [Upload] {
        guard let id else {
            return try await database.rows(UploadRows.open, [database.now, .limit(limit)], as: Upload.init(row:))
        }
        return try await database.rows(
            UploadRows.openAfter, [database.now, .limit(limit), .uuid(id.uuid)], as: Upload.init(row:)
        )
    }

    public func claim(_ id: UploadID, of owner: Subject) async throws(BlobError) -> Upload {
        let upload = try await database.first(
            UploadRows.claim, [.uuid(id.uuid), database.now, .text(owner.name)], as: Upload.init(row:)
        )
        guard let upload else { throw .uploadUnknown }
        if upload.state == .failed { throw .uploadFailed }
        return upload
    }

    public func advance(
        _ upload: Upload, to progress: UploadProgress, expires: Date, announcing: Bool
    ) async throws(BlobError) -> Upload {
        let (refusal, announced) = try await database.only(
            UploadRows.advance,
            [
                .uuid(upload.id.uuid), .integer(upload.epoch), .integer(upload.offset), .integer(progress.offset),
                .bytes(progress.digest.encoded), .time(expires), .flag(announcing), database.now,
            ],
            isRepeatable: false
        ) { row throws(PostgresError) in (try row.optionalText(0), try row.optionalInteger(1)) }
        if let refusal = UploadRows.refusal(refusal) { throw refusal }
        var upload = upload
        upload.offset = progress.offset
        upload.digest = progress.digest
        upload.expires = Timestamp(expires).date
        upload.announced = announced ?? upload.announced
        return upload
    }

    public func announce(_ offset: Int64, of id: UploadID) async throws(BlobError) {
        try await database.run(UploadRows.announce, [.uuid(id.uuid), .integer(offset)], isRepeatable: true)
    }

    public func fail(_ id: UploadID, epoch: Int64) async throws(BlobError) {
        try await database.run(UploadRows.fail, [.uuid(id.uuid), .integer(epoch)], isRepeatable: true)
    }

    public func complete(
        _ upload: Upload, with progress: UploadProgress, expires: Date, fileExpires: Date?
    ) async throws(BlobError) -> File {
        let digest = progress.digest.digest
        let result = try await database.only(
            UploadRows.complete,
            [
                .uuid(upload.id.uuid), .integer(upload.epoch), .integer(upload.offset), .integer(progress.offset),
                .bytes(progress.digest.encoded), .digest(digest), .time(expires), .time(fileExpires), database.now,
            ],
            isRepeatable: false
        ) { row throws(PostgresError) -> Result<(id: FileID, created: Date), BlobError> in
            if let refusal = UploadRows.refusal(try row.optionalText(0)) { return .failure(refusal) }
            guard let id = FileID(value: try row.integer(1)) else { throw .damagedRow(of: "files") }
            return .success((id, try row.time(2)))
        }
        let (id, created) = try result.get()
        return File(
            id: id, digest: digest, owner: upload.owner, name: upload.name ?? FileName(digest), size: progress.offset,
            isTemporary: upload.isTemporary, path: upload.path, created: created,
            expires: fileExpires.map { Timestamp($0).date }
        )
    }

    public func destroy(_ id: UploadID, of owner: Subject) async throws(BlobError) {
        let removed = try await database.first(
            UploadRows.delete, [.uuid(id.uuid), database.now, .text(owner.name)], isRepeatable: false
        ) { row throws(PostgresError) in try row.uuid(0) }
        guard removed != nil else { throw .uploadUnknown }
    }
}
