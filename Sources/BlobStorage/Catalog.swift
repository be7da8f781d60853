// What every catalog promises.

public import BlobCore
public import struct Foundation.Date

/// The rows: uploads, blobs, files and tokens.
///
/// The one commit point of the server. Each call is one transaction; when it returns, its changes survive `kill -9` and
/// power loss. When it throws, it changed nothing, unless the disk failed and the process ends before its next call:
/// then it may have. Bytes are made durable before the row that names them, and a row is removed before its bytes.
///
/// Time is the catalog's own, from the clock it was made with. An upload or file is gone for every caller from the very
/// moment of its expiry; its share of usage and statistics goes when it is removed.
///
/// A call that is given limits holds them whatever runs at once, here and on other nodes: what it adds is not there
/// until it was found to fit, and nobody else is told that the same room is free. A call that adds nothing to the
/// subject's ``Usage/charge`` is never refused for the quota.
///
/// All calls throw ``BlobError/Reason/unavailable(_:)`` when the rows cannot be reached and
/// ``BlobError/Reason/insufficientStorage(_:)`` when there is no room for them.
public protocol Catalog<Place>: Sendable {
    /// See ``Backend/Place``.
    associatedtype Place: Sendable

    /// The key of this catalog's keyed hashes, 32 random bytes made once.
    func secret() async throws(BlobError) -> [UInt8]

    /// Whether rows can be read and written now.
    func checkReadiness() async throws(BlobError)

    // MARK: Uploads

    /// Records a new upload, unless its owner has `limit` open ones already.
    ///
    /// - Throws: ``BlobError/Reason/tooManyUploads(open:)``, ``BlobError/Reason/quotaUsedUp``.
    func create(_ upload: Upload, openUploadLimit limit: Int, quota: Int64?) async throws(BlobError)

    /// The upload, in whatever state; `nil` when it is unknown or expired.
    func upload(_ id: UploadID) async throws(BlobError) -> Upload?

    /// Takes the right to write: raises the epoch, so that no earlier lease can move the offset any more.
    ///
    /// An upload of another owner is as unknown as one that never was, and stays as it is.
    /// - Throws: ``BlobError/Reason/uploadUnknown``, ``BlobError/Reason/uploadFailed``.
    func claim(_ id: UploadID, of owner: Subject) async throws(BlobError) -> Claimed

    /// Moves a leased upload's offset to bytes that are durable already, and puts its expiry off.
    ///
    /// - Parameters:
    ///   - lease: its epoch and offset must still be the row's.
    ///   - digest: of all bytes that are durable.
    ///   - announcing: whether the client is about to be told the new offset.
    ///   - quota: what the owner may take up; `nil` for any amount.
    /// - Returns: the lease of the upload as it is now.
    /// - Throws: ``BlobError/Reason/uploadSuperseded`` when a newer claim was made or the offset moved,
    ///   ``BlobError/Reason/uploadUnknown`` when it is gone, ``BlobError/Reason/quotaUsedUp``.
    func advance(
        _ lease: Lease, to digest: RunningDigest, expires: Date, announcing: Bool, quota: Int64?
    ) async throws(BlobError) -> Lease

    /// Records that the client is about to be told `offset`. Without effect on an upload that is not there, and on one
    /// whose client was told a higher offset.
    func announce(_ offset: Int64, of id: UploadID) async throws(BlobError)

    /// Marks an upload failed for good. Without effect on one that is not open, or that was claimed since: an overtaken
    /// writer knows nothing of the upload's bytes now.
    func fail(_ lease: Lease) async throws(BlobError)

    /// Turns a leased upload into a file, in one transaction: upload completed, blob live (a dying one is revived),
    /// file recorded under a new id.
    ///
    /// - Parameters:
    ///   - lease: its epoch and offset must still be the row's.
    ///   - digest: of all bytes of the blob, published under it already.
    ///   - expires: until when the upload's row stays, so that a lost answer can be repeated.
    ///   - fileExpires: when the file goes; `nil` for a permanent one.
    ///   - quota: what the owner may take up; `nil` for any amount.
    /// - Throws: ``BlobError/Reason/uploadSuperseded``, ``BlobError/Reason/uploadUnknown``,
    ///   ``BlobError/Reason/quotaUsedUp``.
    func complete(
        _ lease: Lease, with digest: RunningDigest, expires: Date, fileExpires: Date?, quota: Int64?
    ) async throws(BlobError) -> File

    /// Removes an upload of this owner that is not completed.
    ///
    /// - Throws: ``BlobError/Reason/uploadUnknown``.
    func destroy(_ id: UploadID, of owner: Subject) async throws(BlobError)

    // MARK: Blobs and files

    /// The blob, when a live file points at it.
    func located(_ digest: BlobDigest) async throws(BlobError) -> LocatedBlob<Place>?

    /// The file; `nil` when it is unknown or expired.
    func file(_ id: FileID) async throws(BlobError) -> File?

    /// A page of a list. Paged by cursor, every file that is there throughout is listed exactly once, whatever comes
    /// and goes meanwhile.
    func files(_ query: FileQuery) async throws(BlobError) -> FilePage

    /// Removes a file. A blob that no file points at any more begins to die.
    ///
    /// - Parameter owner: whose file it must be; `nil` for anybody's.
    /// - Throws: ``BlobError/Reason/fileUnknown``.
    func destroyFile(_ id: FileID, of owner: Subject?) async throws(BlobError)

    // MARK: Verifying

    /// The rows of up to `limit` blobs, live and dying, in the order of their digests, after `digest` or from the
    /// first.
    func blobRecords(after digest: BlobDigest?, limit: Int) async throws(BlobError) -> [BlobRecord]

    /// Up to `limit` blobs of which damage is suspected.
    func suspectedBlobs(limit: Int) async throws(BlobError) -> [BlobRecord]

    /// Records the condition of a blob's bytes, until an upload of the same bytes is completed, which makes it sound.
    /// A suspicion is nothing new of a blob that is known to be damaged.
    /// A catalog that knows places takes damaged bytes out of service in the same transaction: they are opened no more.
    ///
    /// - Parameter place: of the bytes that it is known of: ``ByteStore/place(of:)`` before they were looked at.
    /// - Returns: `false` when nothing was recorded: there is no row of the blob, or its bytes are at another place by
    ///   now, as far as the catalog knows places.
    @discardableResult
    func setCondition(
        _ condition: BlobCondition, of digest: BlobDigest, at place: Place?
    ) async throws(BlobError) -> Bool

    /// The open uploads after `id`, or from the first, in an order that stays the same; up to `limit`.
    func openUploads(after id: UploadID?, limit: Int) async throws(BlobError) -> [Upload]

    /// The faults of the rows themselves, a line for each; takes as long as reading all of them.
    func faults() async throws(BlobError) -> [String]

    // MARK: Reclaiming

    /// Removes up to `limit` uploads and up to `limit` files whose time has come. The uploads' bytes are to be
    /// discarded next.
    func removeExpired(limit: Int) async throws(BlobError) -> ExpiredRows

    /// Up to `limit` blobs that have been dying for at least `grace`.
    func dyingBlobs(for grace: Duration, limit: Int) async throws(BlobError) -> [BlobDigest]

    /// Those of some digests for which there is no row, neither of a live blob nor of a dying one.
    func unknownBlobs(among digests: [BlobDigest]) async throws(BlobError) -> [BlobDigest]

    /// Removes the row of a blob if it still has been dying for `grace`; its bytes may be removed only when this is
    /// true.
    func removeBlob(_ digest: BlobDigest, dyingFor grace: Duration) async throws(BlobError) -> Bool

    // MARK: Tokens

    /// Records a token by the SHA-256 of its secret.
    ///
    /// - Throws: ``BlobError/Reason/tokenTaken`` when the name is taken.
    func createToken(_ token: AccessToken, secretDigest: BlobDigest) async throws(BlobError)

    /// The token whose secret has this SHA-256, expired or not.
    func token(secretDigest: BlobDigest) async throws(BlobError) -> AccessToken?

    /// Records that a token let somebody in during an hour. Without effect where it is known to have done so then or
    /// later, and where it is not there.
    ///
    /// - Parameter hour: the hour's beginning.
    func recordUse(ofToken secretDigest: BlobDigest, in hour: Date) async throws(BlobError)

    /// All tokens, in the order of their names.
    func tokens() async throws(BlobError) -> [AccessToken]

    /// Removes a token; `false` when there is none of that name.
    func revokeToken(named name: String) async throws(BlobError) -> Bool

    // MARK: Numbers

    /// What a subject takes up: exact after every change.
    ///
    /// Among what it let go of are a blob that no file points at any more, at the price of its last file and for that
    /// one's owner; the rows of a completed upload; and a failed upload: each until it is removed. And bytes of others,
    /// for as long as their store holds them and tells the catalog.
    func usage(of subject: Subject) async throws(BlobError) -> Usage
    func statistics() async throws(BlobError) -> Statistics
}

extension Catalog {
    /// The blob, when a live file points at it.
    public func blob(_ digest: BlobDigest) async throws(BlobError) -> Blob? { try await located(digest)?.blob }
}
