// One body on its way into an upload.

import BlobCore
import NIOCore

/// Takes a body's bytes into an upload as they come, and makes them durable at intervals and at the end.
///
/// Memory is bounded: one chunk is received while the one before it is hashed and written.
actor Reception {
    /// As far as the catalog knows it.
    private(set) var upload: Upload
    nonisolated let writer: any UploadWriter
    private let service: UploadService
    /// The number of bytes that a guard announced.
    private let rangeLength: Int64?
    private var quota: Int64?
    private let activity: UploadTurns.Activity
    private var received: Int64 = 0
    /// How far the bytes go that the writer took.
    private var taken: Int64
    /// Bytes that were taken since the last checkpoint.
    private var unchecked: Int64 = 0
    private var lastCheckpoint = ContinuousClock.now

    /// What a crash may make a client send again: this many bytes, or what arrived in this time. A writer that may not
    /// hold up what comes next can make it more.
    private static let checkpointByteCount: Int64 = 32 * 1024 * 1024
    private static let checkpointInterval = Duration.seconds(2)

    init(
        upload: Upload, writer: any UploadWriter, service: UploadService, rangeLength: Int64?, quota: Int64?,
        activity: UploadTurns.Activity
    ) {
        self.upload = upload
        taken = upload.offset
        self.writer = writer
        self.service = service
        self.rangeLength = rangeLength
        self.quota = quota
        self.activity = activity
    }

    /// Takes the whole body. When it ends early, or not as announced, what arrived is kept before the error is thrown.
    func receive(_ body: IncomingBody) async throws(BlobError) {
        do throws(BlobError) {
            while let chunk = try await next(of: body) {
                let refusal = try await write(chunk)
                if let refusal { throw refusal }
            }
            if let rangeLength, rangeLength != received {
                throw BlobError.lengthMismatch(rangeLength, body: received, offset: upload.offset)
            }
        } catch {
            let upload = try await keep(announcing: error.tellsOffset)
            throw error.telling(upload.offset)
        }
    }

    /// Makes everything that arrived durable and records it. Where the store cannot take all of it after all, what it
    /// took is recorded before the error is thrown.
    func keep(announcing: Bool) async throws(BlobError) -> Upload {
        let progress: UploadProgress
        do throws(BlobError) {
            progress = try await writing { writer throws(BlobError) in try await writer.flush() }
        } catch  where error.code == .unavailable || error.code == .insufficientStorage {
            let held = try await writing { writer throws(BlobError) in try await writer.flush() }
            throw error.telling(try await record(held, announcing: announcing).offset)
        }
        return try await record(progress, announcing: announcing)
    }

    /// Runs a step of the writer that tells how far bytes are durable.
    private func writing(
        _ step: @Sendable (any UploadWriter) async throws(BlobError) -> UploadProgress
    ) async throws(BlobError) -> UploadProgress {
        try await service.recordingLoss(of: upload) { [writer] () throws(BlobError) in try await step(writer) }
    }

    /// Records how far bytes are durable.
    private func record(_ progress: UploadProgress, announcing: Bool) async throws(BlobError) -> Upload {
        unchecked = 0
        lastCheckpoint = .now
        if progress.offset != upload.offset || announcing && upload.announced != upload.offset {
            upload = try await service.catalog.advance(
                upload, to: progress, expires: service.expiry, announcing: announcing
            )
        }
        return upload
    }

    private func next(of body: IncomingBody) async throws(BlobError) -> [ByteBuffer]? {
        do {
            return try await activity.waiting { try await body.next() }
        } catch is CancellationError {
            throw .uploadSuperseded
        } catch let error as BlobError {
            throw error
        } catch {
            throw BlobError(.badRequest, "The body ended before it was complete. What had arrived was kept.")
        }
    }

    /// Writes as much of a chunk as the limits allow.
    ///
    /// - Returns: the error when that is not all.
    private func write(_ chunk: [ByteBuffer]) async throws(BlobError) -> BlobError? {
        let count = chunk.reduce(0) { $0 + Int64($1.readableBytes) }
        let sizeLeft = service.settings.maximumBlobSize - taken
        let quotaLeft = quota.map { $0 - (taken - upload.offset) } ?? .max
        let allowed = max(0, min(sizeLeft, quotaLeft, count))
        received += allowed
        taken += allowed
        unchecked += allowed
        guard allowed == count else {
            try await writer.write(Self.prefix(allowed, of: chunk))
            return sizeLeft <= quotaLeft ? .tooLarge(service.settings.maximumBlobSize) : .quotaUsedUp
        }
        try await writer.write(chunk)
        if unchecked >= Self.checkpointByteCount || lastCheckpoint.duration(to: .now) >= Self.checkpointInterval {
            let held = try await writing { writer throws(BlobError) in try await writer.checkpoint() }
            _ = try await record(held, announcing: false)
            quota = try await service.remainingQuota(of: upload.owner, expecting: 0)
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

    /// - Throws: ``BlobError/Code/tooLarge`` when the bytes to come would make the blob too large.
    static func checkSize(_ offset: Int64, adding count: Int64, limit: Int64) throws(BlobError) {
        let (size, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, size <= limit else { throw .tooLarge(limit) }
    }
}

extension BlobError {
    fileprivate static func tooLarge(_ limit: Int64) -> BlobError {
        BlobError(.tooLarge, "The largest blob that is taken here has \(limit) bytes.")
    }

    fileprivate static let quotaUsedUp = BlobError(
        .quotaExceeded, "The quota is used up. What had arrived was kept: delete files, then go on."
    )

    /// Whether a client is there to hear the error, and the offset with it.
    fileprivate var tellsOffset: Bool {
        switch code {
        case .badRequest, .uploadSuperseded: false
        default: true
        }
    }

    /// The same error with the offset as it is after what had arrived was kept.
    func telling(_ offset: Int64) -> BlobError {
        if case .content = detail { return self }
        return BlobError(code, message, detail: .offset(offset))
    }
}
