// Bytes in a bucket of an S3-compatible store: immutable objects, and rows that say which of them hold what.

public import BlobCore
public import BlobStorage
import Foundation
public import Logging
public import PostgresPool
public import S3Client

/// Keeps the bytes of uploads and blobs as objects under keys that are used once.
///
/// An object is written first, and counts when it has a row; so a node that stops anywhere leaves objects without rows,
/// and never a row without its object. Nothing is overwritten and nothing is renamed: a node that was paused and goes
/// on later can only add objects that nobody asks for.
public final class CloudByteStore: ByteStore {
    let database: Database
    let bucket: S3Bucket
    let logger: Logger
    let retention: Retention
    let budget = PartBudget()
    /// Segments of the least size that an upload has before they grow with it.
    let steadySegments: Int64
    let strays = StraySearch()

    /// How long objects are kept that nothing speaks of.
    public struct Retention: Sendable {
        /// How far back the database may be restored: released objects stay for that time.
        public var restoreWindow: Duration
        /// The age of an object without a row at which it is taken for one that was left behind.
        public var strayAge: Duration

        /// - Parameter longestUpload: how long an unfinished upload may live.
        public init(restoreWindow: Duration, longestUpload: Duration) {
            self.restoreWindow = restoreWindow
            strayAge = max(longestUpload, restoreWindow) + .seconds(86_400)
        }
    }

    /// - Parameters:
    ///   - pool: connections to the catalog's database.
    ///   - bucket: for this server alone.
    public convenience init(
        pool: PostgresPool, bucket: S3Bucket, retention: Retention,
        logger: Logger = Logger(label: "blobd.storage")
    ) {
        // 7,500 segments make 1 TiB, and 10,100 make 5 TiB, the largest object that S3 knows.
        self.init(pool: pool, bucket: bucket, retention: retention, steadySegments: 1600, logger: logger)
    }

    init(
        pool: PostgresPool, bucket: S3Bucket, retention: Retention, steadySegments: Int64,
        logger: Logger = Logger(label: "blobd.storage")
    ) {
        self.steadySegments = steadySegments
        database = Database(pool: pool, clock: nil, logger: logger)
        self.bucket = bucket
        self.retention = retention
        self.logger = logger
    }

    public func writer(for lease: Lease, expecting: Int64?) async throws(BlobError) -> any UploadWriter {
        // Nothing can be written while the bucket is away: better told before the bytes come.
        if expecting != 0 { try bucketIsThere() }
        try await change(
            "SELECT open_upload($1, $2, $3)", [.uuid(lease.id.uuid), .integer(lease.epoch), .integer(lease.offset)]
        )
        return CloudUploadWriter(lease: lease, store: self)
    }

    public func open(_ digest: BlobDigest) async throws(BlobError) -> BlobContent {
        try await open(digest, at: nil)
    }

    public func open(_ digest: BlobDigest, at place: StoredContent?) async throws(BlobError) -> BlobContent {
        var found = place
        if found == nil { found = try await content(of: digest) }
        guard let content = found else { throw .bytesUnknown }
        // An empty one, too: other nodes may remove it at any moment, so that nobody may remember it.
        return .remote(
            RemoteBlob(
                size: content.size, location: location(of: content)
            ) { [self] (range, executor) throws(BlobError) in
                try await PieceReader(range, of: digest, content, in: self, for: .clients, on: executor).started()
            }
        )
    }

    public func discard(_ id: UploadID) async throws(BlobError) {
        try await database.run("SELECT discard_upload($1)", [.uuid(id.uuid)], isRepeatable: true)
    }

    public func remove(_ digest: BlobDigest) async throws(BlobError) {
        try await database.run("SELECT remove_content($1)", [.digest(digest)], isRepeatable: true)
    }

    public func heldUploads() async throws(BlobError) -> [UploadID] {
        try await database.rows("SELECT * FROM stray_uploads()", []) { row throws(PostgresError) in
            UploadID(try row.uuid(0))
        }
    }

    public func heldByteCount(of id: UploadID) async throws(BlobError) -> Int64? {
        try await database.only(
            "SELECT max(start + size) FROM segments WHERE upload = $1", [.uuid(id.uuid)], isRepeatable: true
        ) { row throws(PostgresError) in try row.optionalInteger(0) }
    }

    public func heldBlobs(beginningWith byte: UInt8) async throws(BlobError) -> [BlobDigest] {
        let end = byte == .max ? [UInt8](repeating: .max, count: BlobDigest.byteCount + 1) : [byte + 1]
        // Live contents have their rows by the schema's own doing: only the others can be without.
        return try await database.rows(
            """
            SELECT DISTINCT digest FROM contents
                WHERE state = \(ContentState.published.rawValue) AND digest >= $1 AND digest < $2
            """, [.bytes([byte]), .bytes(end)]
        ) { row throws(PostgresError) in try row.digest(0) }
    }

    public func checkReadiness() async throws(BlobError) {
        do throws(S3Error) {
            try await bucket.checkAccess()
        } catch {
            throw refusal(error)
        }
    }

    public func availableBytes() -> Int64? { nil }

    /// - Throws: ``BlobError/Reason/unavailable(_:)`` while calls to the bucket fail.
    private func bucketIsThere() throws(BlobError) {
        if bucket.isRefusing { throw .bucketUnreachable }
    }

    private func location(of content: StoredContent) -> (@Sendable (String) -> String)? {
        guard content.pieces.count == 1, let piece = content.pieces.first else { return nil }
        return { [bucket] contentDisposition in
            bucket.presignedURL(
                for: piece.key, expiresIn: .seconds(300),
                responseHeaders: [
                    "Content-Disposition": contentDisposition, "Content-Type": "application/octet-stream",
                ]
            )
        }
    }
}

// MARK: The database

extension CloudByteStore {
    /// The content of a digest; `nil` when it has none. One that is only published does not count for a blob that has a
    /// row: it may never be completed.
    func content(of digest: BlobDigest) async throws(BlobError) -> StoredContent? {
        let rows = try await database.rows(
            """
            SELECT c.id, c.upload, c.size, p.start, p.size, p.name, p.etag
                FROM contents c LEFT JOIN pieces p ON p.content = c.id
                WHERE c.id = (
                    SELECT id FROM contents WHERE digest = $1
                        AND (state = \(ContentState.live.rawValue) OR state = \(ContentState.published.rawValue)
                            AND NOT EXISTS (SELECT FROM blobs WHERE digest = $1))
                        ORDER BY state DESC, id DESC LIMIT 1
                ) ORDER BY p.start
            """,
            [.digest(digest)], as: { row throws(PostgresError) in try ContentRow(row) }
        )
        do throws(PostgresError) {
            return try StoredContent(rows)
        } catch {
            throw database.errors.classified(error)
        }
    }

    func hasRow(_ digest: BlobDigest) async throws(BlobError) -> Bool {
        try await database.only(
            "SELECT EXISTS (SELECT FROM blobs WHERE digest = $1)", [.digest(digest)], isRepeatable: true
        ) { row throws(PostgresError) in try row.flag(0) }
    }

    /// Calls a function that tells why it did not do its work.
    func change(_ sql: String, _ parameters: [PostgresValue]) async throws(BlobError) {
        let refusal = try await database.only(sql, parameters, isRepeatable: true) { row throws(PostgresError) in
            try row.optionalText(0)
        }
        switch refusal {
        case nil: return
        case "superseded": throw .uploadSuperseded
        default: throw .uploadFailed
        }
    }
}
