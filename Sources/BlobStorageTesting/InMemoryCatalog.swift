// The model of a catalog: the shortest readable answer to "what should happen?".

public import BlobCore
@_spi(Catalogs) public import BlobStorage
public import struct Foundation.Date
private import Synchronization

/// A catalog whose rows are kept in memory, for tests.
///
/// Every call is one critical section, and a call that throws changed nothing.
public final class InMemoryCatalog: Catalog {
    fileprivate struct Rows {
        var secret = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
        var uploads: [UploadID: UploadRow] = [:]
        var files: [FileID: File] = [:]
        var blobs: [BlobDigest: BlobRow] = [:]
        var tokens: [BlobDigest: AccessToken] = [:]
        /// Kept apart from the files, so that the identity of a destroyed file is not given away again.
        var lastFileID: FileID?
    }

    fileprivate struct UploadRow {
        var upload: Upload
        var epoch: Int64 = 0
    }

    fileprivate struct BlobRow {
        let size: Int64
        /// Since when no file points at it.
        var dyingSince: Date?
        /// The owner of its last file.
        var letGoBy: Subject?
        var condition = BlobCondition.sound
    }

    private let rows: Mutex<Rows>
    private let clock: any WallClock

    public init(clock: any WallClock) {
        rows = Mutex(Rows())
        self.clock = clock
    }

    private init(_ rows: Rows, clock: any WallClock) {
        self.rows = Mutex(rows)
        self.clock = clock
    }

    /// The catalog that a new process finds: the same rows. Changes of the old one are lost from now on.
    public func restarted() -> InMemoryCatalog {
        InMemoryCatalog(rows.withLock { $0 }, clock: clock)
    }

    private func transaction<Result: Sendable>(
        _ body: (inout Rows, _ now: Date) throws(BlobError) -> Result
    ) throws(BlobError) -> Result {
        try rows.withLock { rows throws(BlobError) in
            var changed = rows
            let result = try body(&changed, clock.now)
            rows = changed
            return result
        }
    }

    public func secret() throws(BlobError) -> [UInt8] {
        try transaction { rows, _ in rows.secret }
    }

    public func checkReadiness() {}
}

// MARK: Uploads

extension InMemoryCatalog.Rows {
    fileprivate func row(_ id: UploadID, at now: Date) throws(BlobError) -> InMemoryCatalog.UploadRow {
        guard let row = uploads[id], row.upload.expires > now else { throw .uploadUnknown }
        return row
    }

    fileprivate func row(
        _ id: UploadID, of owner: Subject, at now: Date
    ) throws(BlobError) -> InMemoryCatalog.UploadRow {
        let row = try row(id, at: now)
        guard row.upload.owner == owner else { throw .uploadUnknown }
        return row
    }

    /// The row of an upload that the holder of a lease may still write to.
    fileprivate func row(of lease: Lease, at now: Date) throws(BlobError) -> InMemoryCatalog.UploadRow {
        let row = try row(lease.id, at: now)
        guard row.upload.state == .open, row.epoch == lease.epoch, row.upload.offset == lease.offset else {
            throw .uploadSuperseded
        }
        return row
    }

    fileprivate var openUploads: [Upload] { uploads.values.map(\.upload).filter { $0.state == .open } }
}

extension InMemoryCatalog {
    public func create(_ upload: Upload, openUploadLimit limit: Int, quota: Int64?) throws(BlobError) {
        try transaction { rows, _ throws(BlobError) in
            let open = rows.openUploads.count { $0.owner == upload.owner }
            guard open < limit else { throw BlobError(.tooManyUploads(open: Int64(open))) }
            rows.uploads[upload.id] = UploadRow(upload: upload)
            try rows.hold(quota, of: upload.owner)
        }
    }

    public func upload(_ id: UploadID) throws(BlobError) -> Upload? {
        try transaction { rows, now in try? rows.row(id, at: now).upload }
    }

    public func openUploads(after id: UploadID?, limit: Int) throws(BlobError) -> [Upload] {
        try transaction { rows, now in
            let open = rows.openUploads.filter { upload in
                upload.expires > now && (id.map { "\($0)" < "\(upload.id)" } ?? true)
            }
            return Array(open.sorted { "\($0.id)" < "\($1.id)" }.prefix(limit))
        }
    }

    public func claim(_ id: UploadID, of owner: Subject) throws(BlobError) -> Claimed {
        try transaction { rows, now throws(BlobError) in
            var row = try rows.row(id, of: owner, at: now)
            switch row.upload.state {
            case .failed: throw .uploadFailed
            case .completed(let file): return .completed(file)
            case .open:
                row.epoch += 1
                rows.uploads[id] = row
                return .open(Lease(to: row.upload, epoch: row.epoch))
            }
        }
    }

    public func advance(
        _ lease: Lease, to digest: RunningDigest, expires: Date, announcing: Bool, quota: Int64?
    ) throws(BlobError) -> Lease {
        try transaction { rows, now throws(BlobError) in
            let row = try rows.row(of: lease, at: now)
            let advanced = lease.advanced(
                to: digest, expires: expires, announced: announcing ? digest.count : row.upload.announced
            )
            rows.uploads[lease.id]?.upload = advanced.upload
            if lease.isCheaper(than: digest) { try rows.hold(quota, of: advanced.upload.owner) }
            return advanced
        }
    }

    public func announce(_ offset: Int64, of id: UploadID) throws(BlobError) {
        try transaction { rows, _ in
            guard let upload = rows.uploads[id]?.upload else { return }
            rows.uploads[id]?.upload.announced = max(upload.announced, offset)
        }
    }

    public func fail(_ lease: Lease) throws(BlobError) {
        try transaction { rows, _ in
            guard let row = rows.uploads[lease.id], row.upload.state == .open, row.epoch <= lease.epoch else { return }
            rows.uploads[lease.id]?.upload.state = .failed
        }
    }

    public func complete(
        _ lease: Lease, with digest: RunningDigest, expires: Date, fileExpires: Date?, quota: Int64?
    ) throws(BlobError) -> File {
        try transaction { rows, now throws(BlobError) in
            var upload = try rows.row(of: lease, at: now).upload
            let blob = digest.digest
            let file = File(
                id: FileID(at: now, after: rows.lastFileID), digest: blob, owner: upload.owner,
                name: upload.name ?? FileName(blob), size: digest.count, path: upload.path, created: now,
                expires: fileExpires
            )
            upload.digest = digest
            upload.expires = expires
            upload.state = .completed(file)
            rows.uploads[upload.id]?.upload = upload
            rows.files[file.id] = file
            rows.blobs[blob] = BlobRow(size: file.size, dyingSince: nil)
            rows.lastFileID = file.id
            if lease.isCheaper(than: digest) { try rows.hold(quota, of: upload.owner) }
            return file
        }
    }

    public func destroy(_ id: UploadID, of owner: Subject) throws(BlobError) {
        try transaction { rows, now throws(BlobError) in
            if case .completed = try rows.row(id, of: owner, at: now).upload.state { throw .uploadUnknown }
            rows.uploads[id] = nil
        }
    }
}

// MARK: Blobs and files

extension InMemoryCatalog.Rows {
    fileprivate func liveFiles(at now: Date) -> [File] {
        files.values.filter { file in file.expires.map { $0 > now } ?? true }
    }

    /// Removes a file, and lets its blob begin to die when no other points at it.
    fileprivate mutating func remove(_ file: File, at now: Date) {
        files[file.id] = nil
        guard !files.values.contains(where: { $0.digest == file.digest }) else { return }
        blobs[file.digest]?.dyingSince = now
        blobs[file.digest]?.letGoBy = file.owner
    }

    /// In the order of their digests.
    fileprivate var blobRecords: [BlobRecord] {
        blobs.map { BlobRecord(digest: $0, size: $1.size, condition: $1.condition) }
            .sorted { $0.digest.hex < $1.digest.hex }
    }

    fileprivate func dying(_ digest: BlobDigest, for grace: Duration, at now: Date) -> Bool {
        guard let since = blobs[digest]?.dyingSince else { return false }
        return now.timeIntervalSince(since) >= grace / .seconds(1)
    }
}

extension InMemoryCatalog {
    public func located(_ digest: BlobDigest) throws(BlobError) -> LocatedBlob<Int>? {
        try transaction { rows, now in
            let files = rows.liveFiles(at: now).filter { $0.digest == digest }.sorted { $0.id < $1.id }
            guard let namesake = files.first(where: { !$0.isTemporary }) ?? files.first else { return nil }
            let isPermanent = files.contains { $0.expires == nil }
            let blob = Blob(
                digest: digest, size: namesake.size, name: namesake.name,
                expires: isPermanent ? nil : files.compactMap(\.expires).max(),
                condition: rows.blobs[digest]?.condition ?? .sound
            )
            return LocatedBlob(blob, at: nil)
        }
    }

    public func file(_ id: FileID) throws(BlobError) -> File? {
        try transaction { rows, now in rows.liveFiles(at: now).first { $0.id == id } }
    }

    public func files(_ query: FileQuery) throws(BlobError) -> FilePage {
        try transaction { rows, now in
            let matching = rows.liveFiles(at: now).filter(query.matches)
                .map { (file: $0, place: FileCursor(at: $0, in: query)) }
                .sorted { $0.place.isBefore($1.place) }
            let found = matching.filter { query.after?.isBefore($0.place) ?? true }
                .dropFirst(Int(clamping: query.skip)).prefix(query.lookahead)
            return FilePage(of: query, count: Int64(matching.count), found: found.map(\.file))
        }
    }

    public func destroyFile(_ id: FileID, of owner: Subject?) throws(BlobError) {
        try transaction { rows, now throws(BlobError) in
            let file = rows.liveFiles(at: now).first { $0.id == id }
            guard let file, owner == nil || owner == file.owner else {
                throw .fileUnknown
            }
            rows.remove(file, at: now)
        }
    }

    public func removeExpired(limit: Int) throws(BlobError) -> ExpiredRows {
        try transaction { rows, now in
            let uploads = rows.uploads.values.map(\.upload).filter { $0.expires <= now }.prefix(limit).map(\.id)
            for id in uploads { rows.uploads[id] = nil }
            let live = Set(rows.liveFiles(at: now).map(\.id))
            let files = rows.files.values.filter { !live.contains($0.id) }.prefix(limit)
            for file in files.sorted(by: { $0.id < $1.id }) { rows.remove(file, at: now) }
            return ExpiredRows(uploads: Set(uploads), fileCount: files.count)
        }
    }

    public func blobRecords(after digest: BlobDigest?, limit: Int) throws(BlobError) -> [BlobRecord] {
        try transaction { rows, _ in
            let after = rows.blobRecords.filter { record in digest.map { $0.hex < record.digest.hex } ?? true }
            return Array(after.prefix(limit))
        }
    }

    public func suspectedBlobs(limit: Int) throws(BlobError) -> [BlobRecord] {
        try transaction { rows, _ in Array(rows.blobRecords.filter { $0.condition == .suspected }.prefix(limit)) }
    }

    public func setCondition(
        _ condition: BlobCondition, of digest: BlobDigest, at place: Int?
    ) throws(BlobError) -> Bool {
        try transaction { rows, _ in
            guard let known = rows.blobs[digest]?.condition else { return false }
            if condition != .suspected || known != .damaged { rows.blobs[digest]?.condition = condition }
            return true
        }
    }

    public func faults() -> [String] { [] }

    public func dyingBlobs(for grace: Duration, limit: Int) throws(BlobError) -> [BlobDigest] {
        try transaction { rows, now in
            Array(rows.blobs.keys.filter { rows.dying($0, for: grace, at: now) }.prefix(limit))
        }
    }

    public func unknownBlobs(among digests: [BlobDigest]) throws(BlobError) -> [BlobDigest] {
        try transaction { rows, _ in digests.filter { rows.blobs[$0] == nil } }
    }

    public func removeBlob(_ digest: BlobDigest, dyingFor grace: Duration) throws(BlobError) -> Bool {
        try transaction { rows, now in
            guard rows.dying(digest, for: grace, at: now) else { return false }
            rows.blobs[digest] = nil
            return true
        }
    }
}

// MARK: Tokens and numbers

extension InMemoryCatalog.Rows {
    fileprivate func usage(of subject: Subject) -> Usage {
        let uploads = uploads.values.map(\.upload).filter { $0.owner == subject }
        let open = uploads.filter { $0.state == .open }
        let files = files.values.filter { $0.owner == subject }
        let held = uploads.map { upload -> Int64 in
            switch upload.state {
            case .open: 0
            case .completed: Charge.rows
            case .failed: Charge.of(upload.offset)
            }
        }
        let dying = blobs.values.filter { $0.letGoBy == subject }
        return Usage(
            charge: (files.map(\.size) + open.map(\.offset)).map(Charge.of).reduce(0, +),
            letGo: (held + dying.map { Charge.of($0.size) }).reduce(0, +), openUploads: Int64(open.count)
        )
    }

    /// - Throws: when what was added is more than the quota has room for.
    fileprivate func hold(_ quota: Int64?, of owner: Subject) throws(BlobError) {
        guard let quota else { return }
        guard usage(of: owner).room(within: quota) >= 0 else { throw BlobError(.quotaUsedUp) }
    }
}

extension InMemoryCatalog {
    public func createToken(_ token: AccessToken, secretDigest: BlobDigest) throws(BlobError) {
        try transaction { rows, _ throws(BlobError) in
            let isTaken = rows.tokens.contains { $0.key == secretDigest || $0.value.name == token.name }
            guard !isTaken else { throw BlobError(.tokenTaken) }
            rows.tokens[secretDigest] = token
        }
    }

    public func token(secretDigest: BlobDigest) throws(BlobError) -> AccessToken? {
        try transaction { rows, _ in rows.tokens[secretDigest] }
    }

    public func recordUse(ofToken secretDigest: BlobDigest, in hour: Date) throws(BlobError) {
        try transaction { rows, _ in
            guard let token = rows.tokens[secretDigest], token.lastUsed.map({ $0 < hour }) ?? true else { return }
            rows.tokens[secretDigest]?.lastUsed = hour
        }
    }

    public func tokens() throws(BlobError) -> [AccessToken] {
        try transaction { rows, _ in
            rows.tokens.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        }
    }

    public func revokeToken(named name: String) throws(BlobError) -> Bool {
        try transaction { rows, _ in
            guard let digest = rows.tokens.first(where: { $0.value.name == name })?.key else { return false }
            rows.tokens[digest] = nil
            return true
        }
    }

    public func usage(of subject: Subject) throws(BlobError) -> Usage {
        try transaction { rows, _ in rows.usage(of: subject) }
    }

    public func statistics() throws(BlobError) -> Statistics {
        try transaction { rows, _ in
            Statistics(
                openUploads: Int64(rows.openUploads.count),
                blobs: Int64(rows.blobs.count),
                files: Int64(rows.files.count),
                blobBytes: rows.blobs.values.map(\.size).reduce(0, +)
            )
        }
    }
}
