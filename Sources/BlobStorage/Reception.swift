// One body on its way into an upload.

import BlobCore
import NIOCore

/// Takes a body's bytes into an upload as they come, and makes them durable at intervals and at the end.
///
/// Memory is bounded: one chunk is received while the one before it is hashed and written.
actor Reception {
    /// Of the upload as far as the catalog knows it.
    private(set) var lease: Lease
    private let caller: Caller
    nonisolated let writer: any UploadWriter
    private let catalog: any Catalog
    private let bytes: any ByteStore
    private let losses: LostUploads
    private let limits: UploadLimits
    /// How many bytes the quota lets the upload have, as it was last seen.
    private var largestSize: Int64?
    /// Whether the catalog found that it does not.
    private var isRefused = false
    /// The number of bytes that a guard announced.
    private let rangeLength: Int64?
    private let activity: UploadTurns.Activity
    private var received: Int64 = 0
    /// How far the bytes go that the writer took.
    private var taken: Int64
    /// Bytes that were taken since the last checkpoint.
    private var unchecked: Int64 = 0
    private var lastCheckpoint = ContinuousClock.now

    /// The bytes that a crash may make a client send again: this many, or those of this time. A writer that may not
    /// hold up the next bytes can make it more.
    private static let checkpointByteCount: Int64 = 32 * 1024 * 1024
    private static let checkpointInterval = Duration.seconds(2)

    init(
        lease: Lease, caller: Caller, writer: any UploadWriter, catalog: any Catalog, bytes: any ByteStore,
        losses: LostUploads, limits: UploadLimits, largestSize: Int64?, rangeLength: Int64?,
        activity: UploadTurns.Activity
    ) {
        self.lease = lease
        self.caller = caller
        taken = lease.offset
        self.writer = writer
        self.catalog = catalog
        self.bytes = bytes
        self.losses = losses
        self.limits = limits
        self.largestSize = largestSize
        self.rangeLength = rangeLength
        self.activity = activity
    }

    /// Takes the whole body. When it ends early, or not as announced, or the caller may not go on, the bytes that
    /// arrived are kept before the error is thrown.
    func receive(_ body: IncomingBody) async throws(BlobError) {
        do throws(BlobError) {
            while let chunk = try await next(of: body) {
                let refusal = try await write(chunk)
                if let refusal { throw refusal }
            }
            if let rangeLength, rangeLength != received {
                throw BlobError(.lengthMismatch(announced: rangeLength, body: received))
            }
        } catch  where !isRefused {
            let upload = try await keep(announcing: error.tellsOffset)
            throw error.tellsOffset ? error.telling(upload.offset) : error
        }
    }

    /// Looks whether the caller may still complete the upload. Where not, the bytes that arrived are kept.
    func confirmCaller() async throws(BlobError) {
        do throws(BlobError) {
            try await caller.confirm(.upload)
        } catch {
            _ = try await keep(announcing: error.tellsOffset)
            throw error
        }
    }

    /// Makes all bytes that arrived durable and records them. Where the store cannot take all of them after all, those
    /// that it took are recorded before the error is thrown.
    func keep(announcing: Bool) async throws(BlobError) -> Upload {
        try await record(
            try await losses.recording(of: lease) { [writer] () throws(BlobError) in try await writer.flush() },
            announcing: announcing
        )
        return lease.upload
    }

    /// Publishes all bytes that arrived. Where the store cannot take all of them after all, those that it took are
    /// recorded before the error is thrown.
    func publish(as digest: BlobDigest) async throws(BlobError) {
        do throws(BlobError) {
            try await losses.recording(of: lease) { [writer] () throws(BlobError) in
                try await writer.publish(as: digest)
            }
        } catch  where error.isUnavailable || error.isInsufficientStorage {
            throw error.telling(try await keep(announcing: true).offset)
        }
    }

    /// Records how far bytes are durable.
    private func record(_ durable: DurableBytes, announcing: Bool) async throws(BlobError) {
        unchecked = 0
        lastCheckpoint = .now
        let isAnnounced = !announcing || lease.upload.announced == durable.digest.count
        if durable.digest.count != lease.offset || !isAnnounced {
            do throws(BlobError) {
                lease = try await catalog.advance(
                    lease, to: durable.digest, expires: limits.expiry, announcing: announcing,
                    quota: limits.settings.quota
                )
            } catch  where error.reason == .quotaUsedUp {
                throw try await refuse()
            }
        }
        if let shortfall = durable.shortfall { throw shortfall.telling(lease.offset) }
    }

    /// Lets go of the bytes that the catalog does not record, because others took the room that there was: the upload
    /// is as it was told before.
    ///
    /// - Returns: the error that tells the client.
    func refuse() async throws(BlobError) -> BlobError {
        isRefused = true
        // Whoever opens an upload to write cuts it to where its row ends. One that holds nothing has no file.
        _ = try? await losses.recording(of: lease) { [bytes, lease] () throws(BlobError) in
            try await bytes.writer(for: lease, expecting: 0)
        }
        if lease.offset == 0 { try? await bytes.discard(lease.id) }
        if lease.upload.announced != lease.offset { try await catalog.announce(lease.offset, of: lease.id) }
        return BlobError(.quotaUsedUp, offset: lease.offset)
    }

    private func next(of body: IncomingBody) async throws(BlobError) -> [ByteBuffer]? {
        do {
            return try await activity.waiting { try await body.next() }
        } catch is CancellationError {
            throw .uploadSuperseded
        } catch let error as BlobError {
            throw error
        } catch {
            throw BlobError(.bodyIncomplete)
        }
    }

    /// Writes as much of a chunk as the limits allow.
    ///
    /// - Returns: the error when that is not all.
    private func write(_ chunk: [ByteBuffer]) async throws(BlobError) -> BlobError? {
        let count = chunk.reduce(0) { $0 + Int64($1.readableBytes) }
        let sizeLeft = limits.settings.maximumBlobSize - taken
        let quotaLeft = largestSize.map { $0 - taken } ?? .max
        let allowed = max(0, min(sizeLeft, quotaLeft, count))
        received += allowed
        taken += allowed
        unchecked += allowed
        guard allowed == count else {
            try await writer.write(Self.prefix(allowed, of: chunk))
            return BlobError(sizeLeft <= quotaLeft ? .tooLarge(limit: limits.settings.maximumBlobSize) : .quotaUsedUp)
        }
        try await writer.write(chunk)
        if unchecked >= Self.checkpointByteCount || lastCheckpoint.duration(to: .now) >= Self.checkpointInterval {
            try await record(
                try await losses.recording(of: lease) { [writer] () throws(BlobError) in try await writer.checkpoint()
                },
                announcing: false
            )
            try await caller.confirm(.upload)
            largestSize = try await limits.largestSize(of: lease.upload, adding: 0)
        }
        return nil
    }

    private static func prefix(_ count: Int64, of chunk: [ByteBuffer]) -> [ByteBuffer] {
        var left = Int(count)
        return chunk.compactMap { buffer in
            let slice = buffer.getSlice(at: buffer.readerIndex, length: min(left, buffer.readableBytes))
            left -= slice?.readableBytes ?? 0
            return slice
        }
    }
}

extension BlobError {
    /// Whether a client is there to hear the error, and may hear the offset with it.
    fileprivate var tellsOffset: Bool {
        switch reason {
        case .bodyIncomplete, .uploadSuperseded, .tokenInvalid: false
        default: true
        }
    }

    /// The same error with the offset after the bytes that had arrived were kept.
    func telling(_ offset: Int64) -> BlobError {
        BlobError(reason, offset: offset)
    }
}
