// The rules of uploads: start, fill, look, complete, cancel.

public import BlobCore
public import NIOCore

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
    private let catalog: any Catalog
    private let bytes: any ByteStore
    private let limits: UploadLimits
    private let turns = UploadTurns()
    private let losses: LostUploads
    private let blobs: BlobLife
    private let silenceLimit: Duration

    /// - Parameter silenceLimit: when a client has sent nothing for this long, status ends its append, so that the
    ///   answer is final.
    public init(
        backend: any Backend, blobs: BlobLife, settings: UploadSettings, clock: any WallClock,
        silenceLimit: Duration = .seconds(5)
    ) {
        catalog = backend.catalog
        bytes = backend.bytes
        self.blobs = blobs
        limits = UploadLimits(settings: settings, catalog: catalog, clock: clock)
        losses = LostUploads(catalog: catalog)
        self.silenceLimit = silenceLimit
    }

    /// Starts an upload.
    ///
    /// - Parameter path: where the file lies in the folder that it comes from; kept for its readers.
    /// - Throws: ``BlobError/Reason/tooManyUploads(open:)``, ``BlobError/Reason/quotaExceeded(quota:left:)``,
    ///   ``BlobError/Reason/quotaHeld(quota:left:letGo:)``, ``BlobError/Reason/insufficientStorage(_:)``.
    public func initiate(
        owner: Subject, name: FileName?, isTemporary: Bool, path: RelativePath? = nil
    ) async throws(BlobError) -> Upload {
        let upload = Upload(
            id: UploadID(), owner: owner, name: name, isTemporary: isTemporary, path: path, expires: limits.expiry
        )
        try await bytes.requireRoom()
        do throws(BlobError) {
            try await catalog.create(
                upload, openUploadLimit: limits.settings.maximumOpenUploads, quota: limits.settings.quota
            )
        } catch  where error.reason == .quotaUsedUp {
            throw try await limits.excess(of: owner)
        }
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
    /// client goes away or an error follows; but what others of the caller's requests left no room for.
    ///
    /// Ends an append of the same upload that is still running. Ends itself when the caller may not go on.
    public func append(
        _ body: IncomingBody, to id: UploadID, of caller: Caller, guarded: AppendGuard?
    ) async throws(BlobError) -> Upload {
        try await turns.take(UploadTurns.Key(id: id, owner: caller.subject)) { activity in
            await Result.catching { () throws(BlobError) in
                let claimed = try await self.claim(id, of: caller.subject, guarded: guarded, length: body.length)
                guard case .open(let lease) = claimed else { throw .uploadUnknown }
                guard body.length != 0 else {
                    try await self.catalog.announce(lease.offset, of: id)
                    return lease.upload
                }
                let reception = try await self.reception(
                    of: lease, by: caller, guarded: guarded, body: body, activity: activity)
                try await reception.receive(body)
                return try await reception.keep(announcing: true)
            }
        }
    }

    /// Appends the rest of the bytes, if any, and turns the caller's upload into a file. Repeated after it succeeded,
    /// it returns the same file.
    ///
    /// - Parameter digest: what the bytes must be; `nil` to take them as they are.
    /// - Throws: ``BlobError/Reason/digestMismatch(given:actual:size:)`` when the bytes are others; they are kept, and
    ///   the upload stays open.
    public func complete(
        _ id: UploadID, of caller: Caller, with body: IncomingBody, guarded: AppendGuard?, digest: BlobDigest?
    ) async throws(BlobError) -> File {
        try await turns.take(UploadTurns.Key(id: id, owner: caller.subject)) { activity in
            await Result.catching { () throws(BlobError) in
                switch try await self.claim(id, of: caller.subject, guarded: guarded, length: body.length) {
                case .completed(let file): return try Self.repeating(file, digest: digest)
                case .open(let lease):
                    let reception = try await self.reception(
                        of: lease, by: caller, guarded: guarded, body: body, activity: activity)
                    try await reception.receive(body)
                    return try await self.publish(reception, digest: digest)
                }
            }
        }
    }

    /// Cancels the caller's upload and removes its bytes.
    public func destroy(_ id: UploadID, of caller: Subject) async throws(BlobError) {
        try await turns.take(UploadTurns.Key(id: id, owner: caller)) { _ in
            await Result.catching { () throws(BlobError) in
                try await self.catalog.destroy(id, of: caller)
                // The upload is gone with its row; bytes that cannot be removed now are garbage for the reclaimer.
                try? await self.bytes.discard(id)
            }
        }
    }

    // MARK: Steps

    /// Takes the right to write and checks where the bytes are meant to go. Every error that tells the offset records
    /// that it was told.
    private func claim(
        _ id: UploadID, of caller: Subject, guarded: AppendGuard?, length: Int64?
    ) async throws(BlobError) -> Claimed {
        try await losses.record(id)
        let claimed = try await catalog.claim(id, of: caller)
        guard case .open(let lease) = claimed else { return claimed }
        do throws(BlobError) {
            try AppendGuard.check(guarded, against: lease.upload, length: length)
        } catch {
            if lease.upload.announced != lease.offset { try await catalog.announce(lease.offset, of: id) }
            throw error
        }
        return claimed
    }

    private func reception(
        of lease: Lease, by caller: Caller, guarded: AppendGuard?, body: IncomingBody, activity: UploadTurns.Activity
    ) async throws(BlobError) -> Reception {
        let expected = body.length ?? guarded?.length
        if let expected { try limits.checkSize(lease.offset, adding: expected) }
        // A completion without a body adds rows.
        if expected == 0 { try await bytes.requireRoom() }
        let largestSize = expected == 0 ? nil : try await limits.largestSize(of: lease.upload, adding: expected ?? 0)
        let writer = try await losses.recording(of: lease) { () throws(BlobError) in
            try await bytes.writer(for: lease, expecting: expected)
        }
        return Reception(
            lease: lease, caller: caller, writer: writer, catalog: catalog, bytes: bytes, losses: losses,
            limits: limits, largestSize: largestSize, rangeLength: guarded?.length, activity: activity
        )
    }

    /// Compares, publishes, commits; in this order, so that no row ever names bytes that are not there.
    private func publish(_ reception: Reception, digest: BlobDigest?) async throws(BlobError) -> File {
        let taken = await reception.writer.taken()
        let computed = taken.digest
        if let digest, digest != computed {
            _ = try await reception.keep(announcing: true)
            throw BlobError(.digestMismatch(given: digest, actual: computed, size: taken.count))
        }
        try await reception.confirmCaller()
        let lease = await reception.lease
        let file: File
        do throws(BlobError) {
            file = try await blobs.publish(computed) { () throws(BlobError) in
                try await reception.publish(as: computed)
                return try await catalog.complete(
                    lease, with: taken, expires: limits.expiry, fileExpires: limits.fileExpiry(of: lease.upload),
                    quota: limits.settings.quota
                )
            }
        } catch  where error.reason == .quotaUsedUp {
            // No row speaks of these bytes, unless somebody else's did before.
            _ = try? await blobs.removeOrphan(computed)
            throw try await reception.refuse()
        }
        // The blob has its bytes under its digest: where the upload's own cannot be removed, they are garbage.
        try? await bytes.discard(lease.id)
        return file
    }

    private static func repeating(_ file: File, digest: BlobDigest?) throws(BlobError) -> File {
        guard digest == nil || digest == file.digest else {
            throw BlobError(.completedOtherwise(actual: file.digest, size: file.size))
        }
        return file
    }
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
