// The rules of uploads: start, fill, look, complete, cancel.

public import BlobCore
import Foundation
public import NIOCore
import Synchronization

/// The limits and lifetimes of uploads.
public struct UploadSettings: Sendable {
    /// The largest blob, in bytes.
    public var maximumBlobSize: Int64
    /// Open uploads that one subject may have.
    public var maximumOpenUploads: Int
    /// Bytes that one subject may take up with files and open uploads; `nil` for no limit.
    public var quota: Int64?
    /// How long an unfinished upload lives after its last byte.
    public var uploadLifetime: Duration
    /// How long a temporary file lives after its completion.
    public var temporaryLifetime: Duration

    public init(
        maximumBlobSize: Int64, maximumOpenUploads: Int, quota: Int64?, uploadLifetime: Duration,
        temporaryLifetime: Duration
    ) {
        self.maximumBlobSize = maximumBlobSize
        self.maximumOpenUploads = maximumOpenUploads
        self.quota = quota
        self.uploadLifetime = uploadLifetime
        self.temporaryLifetime = temporaryLifetime
    }
}

/// A request's bytes as they arrive.
public struct IncomingBody: Sendable {
    /// The number of bytes, where the client announced it.
    public let length: Int64?
    private let nextBytes: @Sendable () async throws -> [ByteBuffer]?

    /// - Parameter next: the next bytes, as many as should be written together; `nil` after the last; throws when the
    ///   client went away.
    public init(length: Int64?, next: @escaping @Sendable () async throws -> [ByteBuffer]?) {
        self.length = length
        nextBytes = next
    }

    /// A body that holds nothing.
    public static let empty = IncomingBody(length: 0) { nil }

    func next() async throws -> [ByteBuffer]? { try await nextBytes() }
}

/// Receives blobs. Every offset that it returns or puts into an error is durable.
public final class UploadService: Sendable {
    let catalog: any Catalog
    let bytes: any ByteStore
    let settings: UploadSettings
    let clock: any WallClock
    private let turns = UploadTurns()
    /// Uploads of which the store lost bytes, and whose rows do not say so yet, each with the epoch of the writer that
    /// met it. Forgotten when the process ends: an upload is reopened at its row's offset, everything before that
    /// outlasted a sync, and the rest is cut.
    private let lost = Mutex<[UploadID: Int64]>([:])
    private let locks: BlobLocks
    private let blobs: BlobService
    private let silenceLimit: Duration

    /// - Parameter silenceLimit: when a client has sent nothing for so long, status ends its append, so that the answer
    ///   is final.
    public init(
        catalog: any Catalog, bytes: any ByteStore, blobs: BlobService, locks: BlobLocks, settings: UploadSettings,
        clock: any WallClock, silenceLimit: Duration = .seconds(5)
    ) {
        self.catalog = catalog
        self.bytes = bytes
        self.blobs = blobs
        self.locks = locks
        self.settings = settings
        self.clock = clock
        self.silenceLimit = silenceLimit
    }

    /// Starts an upload.
    ///
    /// - Parameter path: where the file lies in the folder that it comes from; kept for its readers.
    /// - Throws: ``BlobError/Code/tooManyUploads``, ``BlobError/Code/quotaExceeded``.
    public func initiate(
        owner: Subject, name: FileName?, isTemporary: Bool, path: RelativePath? = nil
    ) async throws(BlobError) -> Upload {
        _ = try await remainingQuota(of: owner, expecting: 1)
        let upload = Upload(
            id: UploadID(), owner: owner, name: name, isTemporary: isTemporary, path: path, expires: expiry
        )
        try await catalog.create(upload, openUploadLimit: settings.maximumOpenUploads)
        return upload
    }

    /// The caller's upload. Somebody else's is as unknown as one that never was.
    public func upload(_ id: UploadID, of caller: Subject) async throws(BlobError) -> Upload {
        guard let upload = try await catalog.upload(id), upload.owner == caller else { throw .uploadUnknown }
        return upload
    }

    /// Tells how far the caller's upload has come. Leaves a live append alone, unless it has been silent.
    public func status(_ id: UploadID, of caller: Subject) async throws(BlobError) -> Upload {
        // Before anything is done to it: whose it is.
        var upload = try await upload(id, of: caller)
        if await turns.endSilent(UploadTurns.Key(id: id, owner: caller), after: silenceLimit) {
            upload = try await self.upload(id, of: caller)
        }
        switch upload.state {
        case .completed: throw .uploadUnknown
        case .failed: throw .uploadFailed
        case .open: break
        }
        if upload.announced != upload.offset { try await catalog.announce(upload.offset, of: id) }
        return upload
    }

    /// Appends a body to the caller's upload and returns it as it is then. Whatever arrives is kept, also when the
    /// client goes away or an error follows.
    ///
    /// Ends an append of the same upload that is still running.
    public func append(
        _ body: IncomingBody, to id: UploadID, of caller: Subject, guarded: AppendGuard?
    ) async throws(BlobError) -> Upload {
        try await turns.take(UploadTurns.Key(id: id, owner: caller)) { activity in
            await Result.catching { () throws(BlobError) in
                var upload = try await self.claim(id, of: caller, guarded: guarded, length: body.length)
                guard case .open = upload.state else { throw .uploadUnknown }
                guard body.length != 0 else {
                    try await self.catalog.announce(upload.offset, of: id)
                    upload.announced = upload.offset
                    return upload
                }
                let reception = try await self.reception(of: upload, guarded: guarded, body: body, activity: activity)
                try await reception.receive(body)
                return try await reception.keep(announcing: true)
            }
        }
    }

    /// Appends the rest of the bytes, if any, and turns the caller's upload into a file. Repeated after it succeeded,
    /// it returns the same file.
    ///
    /// - Parameter digest: what the bytes must be; `nil` to take them as they are.
    /// - Throws: ``BlobError/Code/digestInvalid`` when the bytes are others; they are kept, and the upload stays open.
    public func complete(
        _ id: UploadID, of caller: Subject, with body: IncomingBody, guarded: AppendGuard?, digest: BlobDigest?
    ) async throws(BlobError) -> File {
        try await turns.take(UploadTurns.Key(id: id, owner: caller)) { activity in
            await Result.catching { () throws(BlobError) in
                let upload = try await self.claim(id, of: caller, guarded: guarded, length: body.length)
                if case .completed(let file) = upload.state { return try Self.repeating(file, digest: digest) }
                let reception = try await self.reception(of: upload, guarded: guarded, body: body, activity: activity)
                try await reception.receive(body)
                return try await self.publish(reception, digest: digest)
            }
        }
    }

    /// Cancels the caller's upload and lets go of its bytes.
    public func destroy(_ id: UploadID, of caller: Subject) async throws(BlobError) {
        try await turns.take(UploadTurns.Key(id: id, owner: caller)) { _ in
            await Result.catching { () throws(BlobError) in
                try await self.catalog.destroy(id, of: caller)
                // The upload is gone with its row; bytes that cannot be let go of now are garbage for the reclaimer.
                try? await self.bytes.discard(id)
            }
        }
    }

    // MARK: Steps

    /// Takes the right to write and checks where the bytes are meant to go. Every error that tells the offset records
    /// that it was told.
    private func claim(
        _ id: UploadID, of caller: Subject, guarded: AppendGuard?, length: Int64?
    ) async throws(BlobError) -> Upload {
        try await failLost(id)
        let upload = try await catalog.claim(id, of: caller)
        guard case .open = upload.state else { return upload }
        do throws(BlobError) {
            try AppendGuard.check(guarded, against: upload, length: length)
        } catch {
            if upload.announced != upload.offset { try await catalog.announce(upload.offset, of: id) }
            throw error
        }
        return upload
    }

    private func reception(
        of upload: Upload, guarded: AppendGuard?, body: IncomingBody, activity: UploadTurns.Activity
    ) async throws(BlobError) -> Reception {
        let expected = body.length ?? guarded?.length
        if let expected { try Reception.checkSize(upload.offset, adding: expected, limit: settings.maximumBlobSize) }
        let quota = try await remainingQuota(of: upload.owner, expecting: expected ?? 0)
        let writer = try await recordingLoss(of: upload) { () throws(BlobError) in
            try await bytes.writer(for: upload, expecting: expected)
        }
        return Reception(
            upload: upload, writer: writer, service: self, rangeLength: guarded?.length, quota: quota,
            activity: activity
        )
    }

    /// Runs a step of the byte store, and records it when the store lost bytes of the upload: nothing of it may be
    /// trusted after that.
    func recordingLoss<Value: Sendable>(
        of upload: Upload, _ step: @Sendable () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        do throws(BlobError) {
            return try await step()
        } catch {
            if error.code == .uploadFailed {
                lost.withLock { $0[upload.id] = upload.epoch }
                try await failLost(upload.id)
            }
            throw error
        }
    }

    /// Marks an upload failed if the store lost bytes of it. The disk that lost them may have refused to record it at
    /// first.
    private func failLost(_ id: UploadID) async throws(BlobError) {
        guard let epoch = lost.withLock({ $0[id] }) else { return }
        try await catalog.fail(id, epoch: epoch)
        lost.withLock { $0[id] = nil }
    }

    /// Compares, publishes, commits; in this order, so that no row ever names bytes that are not there.
    private func publish(_ reception: Reception, digest: BlobDigest?) async throws(BlobError) -> File {
        let progress = await reception.writer.progress()
        let computed = progress.digest.digest
        if let digest, digest != computed {
            _ = try await reception.keep(announcing: true)
            throw BlobError(
                .digestInvalid,
                "The bytes have another digest than \(digest). They are kept: append what is missing, or start anew.",
                detail: .content(digest: computed, size: progress.offset)
            )
        }
        let upload = await reception.upload
        let fileExpires =
            upload.isTemporary ? clock.now.addingTimeInterval(settings.temporaryLifetime.timeInterval) : nil
        let file = try await locks.holding(computed) { () throws(BlobError) in
            try await publishBytes(of: reception, as: computed)
            return try await catalog.complete(upload, with: progress, expires: expiry, fileExpires: fileExpires)
        }
        blobs.forget(computed)
        // The blob has its bytes under its digest: what a failure to let go of the upload's leaves behind is garbage.
        try? await bytes.discard(upload.id)
        return file
    }

    /// Publishes; where the store cannot take all bytes after all, what it took is recorded before the error is thrown.
    private func publishBytes(of reception: Reception, as digest: BlobDigest) async throws(BlobError) {
        do throws(BlobError) {
            try await recordingLoss(of: reception.upload) { () throws(BlobError) in
                try await reception.writer.publish(as: digest)
            }
        } catch  where error.code == .unavailable || error.code == .insufficientStorage {
            throw error.telling(try await reception.keep(announcing: true).offset)
        }
    }

    private static func repeating(_ file: File, digest: BlobDigest?) throws(BlobError) -> File {
        guard digest == nil || digest == file.digest else {
            throw BlobError(
                .digestInvalid, "The upload was completed with another digest.",
                detail: .content(digest: file.digest, size: file.size)
            )
        }
        return file
    }

    /// The bytes that the subject may still add; `nil` for any number.
    func remainingQuota(of owner: Subject, expecting count: Int64) async throws(BlobError) -> Int64? {
        guard let quota = settings.quota else { return nil }
        let remaining = quota - (try await catalog.usage(of: owner).bytes)
        guard count <= max(0, remaining) else {
            throw BlobError(
                .quotaExceeded,
                "The quota of \(quota) bytes has \(max(0, remaining)) left. Delete files, or ask for a larger quota."
            )
        }
        return remaining
    }

    var expiry: Date { clock.now.addingTimeInterval(settings.uploadLifetime.timeInterval) }
}

extension Result where Failure == BlobError {
    static func catching(_ body: () async throws(BlobError) -> sending Success) async -> sending Result {
        do throws(BlobError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}

extension Duration {
    /// In seconds.
    var timeInterval: TimeInterval {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
