// The table `uploads`.

public import BlobCore
@_spi(Catalogs) public import BlobStorage
public import Foundation
import GRDB

enum UploadRows {
    static let columns = Upload.columns(offset: "offset")
    private static let open = StoredUploadState.open.rawValue
    private static let completed = StoredUploadState.completed.rawValue
    private static let failed = StoredUploadState.failed.rawValue

    static let select = "SELECT \(columns) FROM uploads WHERE id = ?1 AND expires > ?2"
    static let selectOwn = select + " AND owner = ?3"
    static let openAfter = """
        SELECT \(columns) FROM uploads WHERE state = \(open) AND expires > ?1 AND id > ?2 ORDER BY id LIMIT ?3
        """
    static let insert = """
        INSERT INTO uploads (id, owner, name, temporary, expires, epoch, offset, announced, digest_state, state, path)
            VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, \(open), ?)
        """
    static let claim = """
        UPDATE uploads SET epoch = epoch + 1 WHERE id = ?1 AND state = \(open) AND owner = ?2 AND expires > ?3
        """
    static let advance = """
        UPDATE uploads SET offset = ?4, digest_state = ?5, expires = ?6, announced = iif(?7, ?4, announced)
            WHERE id = ?1 AND epoch = ?2 AND offset = ?3 AND state = \(open) AND expires > ?8
            RETURNING announced
        """
    static let announce = "UPDATE uploads SET announced = ?2 WHERE id = ?1 AND announced < ?2"
    static let fail = """
        UPDATE uploads SET state = \(failed) WHERE id = ?1 AND state = \(open) AND epoch <= ?2
        """
    static let complete = """
        UPDATE uploads SET state = \(completed), offset = ?4, digest_state = ?5, file_id = ?6, file_digest = ?7,
            file_created = ?8, file_expires = ?9, expires = ?10
            WHERE id = ?1 AND epoch = ?2 AND offset = ?3 AND state = \(open) AND expires > ?8
        """
    static let delete = """
        DELETE FROM uploads WHERE id = ?1 AND state <> \(completed) AND expires > ?2 AND owner = ?3
        """
    static let deleteExpired = """
        DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE expires <= ?1 ORDER BY expires LIMIT ?2)
            RETURNING id
        """

    static func upload(_ id: UploadID, at now: Timestamp, in db: Database) throws -> Upload? {
        try db.first(select, [id.uuid, now], as: Upload.init(row:))
    }

    /// Why a change found no row for a lease.
    static func refusal(of lease: Lease, at now: Timestamp, in db: Database) throws -> BlobError {
        guard try upload(lease.id, at: now, in: db) != nil else { return .uploadUnknown }
        return .uploadSuperseded
    }
}

extension LocalCatalog {
    public func create(_ upload: Upload, openUploadLimit limit: Int, quota: Int64?) async throws(BlobError) {
        try await write(adding: true) { db, _ in
            let open = try UsageRows.usage(of: upload.owner, in: db).openUploads
            guard open < limit else { throw BlobError(.tooManyUploads(open: open)) }
            try db.change(
                UploadRows.insert,
                [
                    upload.id.uuid, upload.owner.name, upload.name?.text, upload.isTemporary, Timestamp(upload.expires),
                    upload.offset, upload.announced, Data(upload.digest.encoded), upload.path?.text,
                ]
            )
            try UsageRows.hold(quota, of: upload.owner, in: db)
        }
    }

    public func upload(_ id: UploadID) async throws(BlobError) -> Upload? {
        try await read { db, now in try UploadRows.upload(id, at: now, in: db) }
    }

    public func openUploads(after id: UploadID?, limit: Int) async throws(BlobError) -> [Upload] {
        try await readSnapshot(isScan: true) { db, now in
            try db.all(UploadRows.openAfter, [now, Data(id?.bytes ?? []), max(0, limit)], as: Upload.init(row:))
        }
    }

    public func claim(_ id: UploadID, of owner: Subject) async throws(BlobError) -> Claimed {
        try await write { db, now in
            try db.change(UploadRows.claim, [id.uuid, owner.name, now])
            let row = try db.first(UploadRows.selectOwn, [id.uuid, now, owner.name], as: Claimed.init(row:))
            guard let row else { throw BlobError.uploadUnknown }
            guard let claimed = row else { throw BlobError.uploadFailed }
            return claimed
        }
    }

    public func advance(
        _ lease: Lease, to digest: RunningDigest, expires: Date, announcing: Bool, quota: Int64?
    ) async throws(BlobError) -> Lease {
        try await write(adding: true) { db, now in
            let expires = Timestamp(expires)
            let announced = try db.first(
                UploadRows.advance,
                [
                    lease.id.uuid, lease.epoch, lease.offset, digest.count, Data(digest.encoded), expires, announcing,
                    now,
                ],
                as: { try $0.integer(0) }
            )
            guard let announced else { throw try UploadRows.refusal(of: lease, at: now, in: db) }
            if lease.isCheaper(than: digest) { try UsageRows.hold(quota, of: lease.upload.owner, in: db) }
            return lease.advanced(to: digest, expires: expires.date, announced: announced)
        }
    }

    public func announce(_ offset: Int64, of id: UploadID) async throws(BlobError) {
        try await write { db, _ in _ = try db.change(UploadRows.announce, [id.uuid, offset]) }
    }

    public func fail(_ lease: Lease) async throws(BlobError) {
        try await write { db, _ in _ = try db.change(UploadRows.fail, [lease.id.uuid, lease.epoch]) }
    }

    public func complete(
        _ lease: Lease, with digest: RunningDigest, expires: Date, fileExpires: Date?, quota: Int64?
    ) async throws(BlobError) -> File {
        let (upload, blob) = (lease.upload, digest.digest)
        return try await write(adding: true) { db, now in
            let file = File(
                id: FileID(at: now.date, after: try UsageRows.lastFileID(in: db)), digest: blob, owner: upload.owner,
                name: upload.name ?? FileName(blob), size: digest.count, path: upload.path, created: now.date,
                expires: fileExpires.map { Timestamp($0).date }
            )
            let isCompleted = try db.change(
                UploadRows.complete,
                [
                    lease.id.uuid, lease.epoch, lease.offset, digest.count, Data(digest.encoded), file.id.value,
                    blob.data, now, fileExpires.map(Timestamp.init), Timestamp(expires),
                ]
            )
            guard isCompleted else { throw try UploadRows.refusal(of: lease, at: now, in: db) }
            try BlobRows.makeLive(blob, size: file.size, in: db)
            try FileRows.insert(file, in: db)
            if lease.isCheaper(than: digest) { try UsageRows.hold(quota, of: upload.owner, in: db) }
            return file
        }
    }

    public func destroy(_ id: UploadID, of owner: Subject) async throws(BlobError) {
        try await write { db, now in
            guard try db.change(UploadRows.delete, [id.uuid, now, owner.name]) else { throw BlobError.uploadUnknown }
        }
    }
}
