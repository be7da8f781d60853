// Filling an empty database and bucket with the data of another server: for `blobd migrate`.

public import BlobCore
public import BlobStorage
import Foundation
import PostgresPool

/// The side of a migration that takes. Every call can be repeated, and a later one may bring the changes since.
extension CloudCatalog {
    /// Begins to take the data of the server that has this secret, or goes on. From then until ``endImport()`` no node
    /// starts on it.
    ///
    /// - Parameters:
    ///   - store: the identity that tells the server's store from others, a restored copy of it too: 16 bytes.
    ///   - generation: not less than in an earlier run: an older copy of the store must not undo what a newer one
    ///     brought.
    /// - Throws: ``OperatorError`` when there are data of another origin, or ``BlobError``.
    public func beginImport(
        secret: [UInt8], of store: [UInt8], generation: Int64
    ) async throws {
        let refusal = try await database.only("SELECT begin_import($1)", [.bytes(secret)], isRepeatable: true) {
            row throws(PostgresError) in try row.optionalText(0)
        }
        switch refusal {
        case nil: try await beginRun(of: store, generation: generation)
        case "over":
            throw OperatorError("everything was brought already, and nodes serve it: there is nothing to do")
        case "other":
            throw OperatorError("the database is being filled from another data directory: correct --data")
        default:
            throw OperatorError("the database holds data already: bring them to an empty one")
        }
    }

    private func beginRun(of store: [UInt8], generation: Int64) async throws {
        let run = store + withUnsafeBytes(of: generation.bigEndian, Array.init)
        let isTheirs = try await database.rows(
            """
            INSERT INTO meta AS held VALUES ('imported-from', $1) ON CONFLICT (name) DO UPDATE SET value = $1
                WHERE substring(held.value FOR 16) = substring($1 FOR 16) AND held.value <= $1
                RETURNING 1
            """, [.bytes(run)]
        ) { _ throws(PostgresError) in true }
        guard isTheirs.isEmpty else { return }
        throw OperatorError(
            "the database is being filled from another copy of this store, restored from a backup or newer than this one: "
                + "correct --data"
        )
    }

    /// - Throws: ``OperatorError`` while a migration is not over, or ``BlobError``.
    public func checkImportIsOver() async throws {
        let isImporting = try await database.only(
            "SELECT EXISTS (SELECT FROM meta WHERE name = 'importing')", [], isRepeatable: true
        ) { row throws(PostgresError) in try row.flag(0) }
        guard isImporting else { return }
        throw OperatorError(
            "'blobd migrate' has not brought everything into this database yet: run it to its end, and then start nodes"
        )
    }

    /// Those of some digests of which there is no sound blob.
    public func missingBlobs(among digests: [BlobDigest]) async throws(BlobError) -> Set<BlobDigest> {
        Set(
            try await database.rows("SELECT * FROM missing_blobs($1)", [.byteStrings(digests.map(\.bytes))]) {
                row throws(PostgresError) in try row.digest(0)
            }
        )
    }

    /// Makes what an upload's writer published a blob, and ends the upload. Unless a file follows, the blob goes again.
    ///
    /// - Throws: ``BlobError/Reason/uploadSuperseded``.
    public func importBlob(_ record: BlobRecord, from lease: Lease) async throws(BlobError) {
        let refusal = try await database.only(
            "SELECT import_blob($1, $2, $3, $4)",
            [.uuid(lease.id.uuid), .integer(lease.epoch), .digest(record.digest), .integer(record.size)],
            isRepeatable: false
        ) { row throws(PostgresError) in try row.optionalText(0) }
        if refusal != nil { throw .uploadSuperseded }
    }

    /// Records a blob whose bytes nobody has any more, so that its files are known and their downloads tell why.
    public func importDamagedBlob(_ record: BlobRecord) async throws(BlobError) {
        try await database.run(
            "SELECT import_damaged_blob($1, $2)", [.digest(record.digest), .integer(record.size)], isRepeatable: true
        )
    }

    /// Makes the files with ids after one and through another (`nil` for all) those of a list, as far as their blobs
    /// are here.
    ///
    /// - Returns: how many of them are here now.
    public func importFiles(
        _ files: [File], after start: FileID?, through end: FileID?
    ) async throws(BlobError) -> Int64 {
        try await database.only(
            """
            SELECT import_files(
                p_after => $1, p_through => $2, p_ids => $3, p_digests => $4, p_owners => $5, p_names => $6,
                p_sizes => $7, p_temporary => $8, p_created => $9, p_expires => $10, p_paths => $11
            )
            """,
            [
                .integer(start?.value ?? -1), .integer(end?.value ?? .max), .integers(files.map(\.id.value)),
                .byteStrings(files.map(\.digest.bytes)), .texts(files.map(\.owner.name)),
                .texts(files.map(\.name.text)), .integers(files.map(\.size)),
                .integers(files.map { $0.isTemporary ? 1 : 0 }), .times(files.map(\.created)),
                .times(files.map(\.expires)), .texts(files.map { $0.path?.text ?? "" }),
            ],
            isRepeatable: true
        ) { row throws(PostgresError) in try row.integer(0) }
    }

    /// Those of some uploads that are completed or failed here.
    public func uploadsThatAreOver(among ids: [UploadID]) async throws(BlobError) -> Set<UploadID> {
        Set(
            try await database.rows(
                "SELECT id FROM uploads WHERE id = ANY ($1) AND state <> \(StoredUploadState.open.rawValue)",
                [.uuids(ids.map(\.uuid))]
            ) { row throws(PostgresError) in UploadID(try row.uuid(0)) }
        )
    }

    /// Records an upload that is completed or failed.
    public func importUpload(_ upload: Upload) async throws(BlobError) {
        var file: File?
        if case .completed(let completed) = upload.state { file = completed }
        try await database.run(
            """
            SELECT import_upload(
                p_id => $1, p_owner => $2, p_name => $3, p_temporary => $4, p_expires => $5, p_offset => $6,
                p_digest_state => $7, p_state => $8, p_file_id => $9, p_file_digest => $10, p_file_created => $11,
                p_file_expires => $12, p_path => $13
            )
            """,
            [
                .uuid(upload.id.uuid), .text(upload.owner.name), .text(upload.name?.text), .flag(upload.isTemporary),
                .time(upload.expires), .integer(upload.offset), .bytes(upload.digest.encoded),
                .integer((file == nil ? StoredUploadState.failed : .completed).rawValue), .integer(file?.id.value),
                .bytes(file?.digest.bytes),
                .time(file?.created), .time(file?.expires), .text(upload.path?.text),
            ],
            isRepeatable: true
        )
    }

    /// Removes the uploads with ids after one and through another (`nil` for all) that are not in a list.
    public func keepUploads(_ ids: [UploadID], after start: UploadID?, through end: UploadID?) async throws(BlobError) {
        try await database.run(
            "SELECT keep_uploads($1, $2, $3)", [.uuid(start?.uuid), .uuid(end?.uuid), .uuids(ids.map(\.uuid))],
            isRepeatable: true
        )
    }

    /// Makes the tokens those of a list, each with the SHA-256 of its secret.
    public func importTokens(_ tokens: [(token: AccessToken, secretDigest: BlobDigest)]) async throws(BlobError) {
        try await database.run(
            """
            SELECT import_tokens(
                p_digests => $1, p_names => $2, p_scopes => $3, p_created => $4, p_expires => $5, p_subjects => $6,
                p_last_used => $7
            )
            """,
            [
                .byteStrings(tokens.map(\.secretDigest.bytes)), .texts(tokens.map(\.token.name)),
                .texts(tokens.map(\.token.scopes.stored)), .times(tokens.map(\.token.created)),
                .times(tokens.map(\.token.expires)), .texts(tokens.map(\.token.subject.name)),
                .times(tokens.map(\.token.lastUsed)),
            ],
            isRepeatable: true
        )
    }

    /// Gives everything that was brought to the nodes.
    public func endImport() async throws(BlobError) {
        try await database.run("SELECT end_import()", [], isRepeatable: true)
    }
}

extension PostgresValue {
    /// 0 for no time.
    fileprivate static func times(_ dates: [Date?]) -> PostgresValue {
        .integers(dates.map { $0.map { Timestamp($0).milliseconds } ?? 0 })
    }
}
