// One body on its way into an upload.

import BlobCore
import NIOCore

/// Takes a body's bytes into an upload, batch by batch, and makes them durable at intervals and at the end.
///
/// Memory is bounded: one batch is collected while the one before it is hashed and written.
actor Reception {
    /// As far as the catalog knows it.
    private(set) var upload: Upload
    nonisolated let writer: any UploadWriter
    private let service: UploadService
    /// The number of bytes that a guard announced.
    private let range: Int64?
    private var quota: Int64?
    private let activity: UploadTurns.Activity
    private var received: Int64 = 0
    private var unflushed: Int64 = 0
    private var lastFlush = ContinuousClock.now

    /// Bytes that are hashed and written in one go. Smaller batches cost switches of thread, larger ones memory.
    private static let batchByteCount = 256 * 1024
    /// What a crash may make a client send again: this many bytes, or what arrived in this time.
    private static let flushByteCount: Int64 = 16 * 1024 * 1024
    private static let flushInterval = Duration.seconds(2)

    init(
        upload: Upload, writer: any UploadWriter, service: UploadService, range: Int64?, quota: Int64?,
        activity: UploadTurns.Activity
    ) {
        self.upload = upload
        self.writer = writer
        self.service = service
        self.range = range
        self.quota = quota
        self.activity = activity
    }

    /// Runs the work on this upload's bytes and closes the writer after it, however it ended.
    nonisolated func closing<Value: Sendable>(
        _ work: () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        do throws(BlobError) {
            let value = try await work()
            await writer.close()
            return value
        } catch {
            await writer.close()
            throw error
        }
    }

    /// Takes the whole body. When it ends early, or not as announced, what arrived is kept before the error is thrown.
    func receive(_ body: IncomingBody) async throws(BlobError) {
        var batch = Batch()
        do throws(BlobError) {
            while let buffer = try await next(of: body) {
                activity.touch()
                let (accepted, refusal) = admit(buffer)
                batch.append(accepted)
                if let refusal { throw refusal }
                if batch.byteCount >= Self.batchByteCount { try await write(&batch) }
            }
            try await write(&batch)
            // The last batch may still be under way: its error belongs here, where what was written is kept.
            _ = try await writer.progress()
            if let range, range != received {
                throw BlobError.rangeLength(range, body: received, offset: upload.offset + received)
            }
        } catch {
            // When the rest cannot be written either, what was written before is still kept.
            if !batch.isEmpty { try? await writer.write(batch.take()) }
            let upload = try await keep(announcing: error.tellsOffset)
            throw error.telling(upload.offset)
        }
    }

    /// Makes everything that arrived durable and records it.
    func keep(announcing: Bool) async throws(BlobError) -> Upload {
        let progress = try await service.failing(upload.id) { [writer] () throws(BlobError) in
            try await writer.flush()
        }
        unflushed = 0
        lastFlush = .now
        if progress.offset != upload.offset || announcing && upload.announced != upload.offset {
            upload = try await service.catalog.advance(
                upload, to: progress, expires: service.expiry, announcing: announcing
            )
        }
        return upload
    }

    private func next(of body: IncomingBody) async throws(BlobError) -> ByteBuffer? {
        do {
            return try await body.next()
        } catch is CancellationError {
            throw .superseded
        } catch let error as BlobError {
            throw error
        } catch {
            throw BlobError(.badRequest, "The body ended before it was complete. What had arrived was kept.")
        }
    }

    /// As much of the buffer as the limits allow, and the error when that is not all.
    private func admit(_ buffer: ByteBuffer) -> (ByteBuffer, BlobError?) {
        let count = Int64(buffer.readableBytes)
        let sizeLeft = service.settings.maximumBlobSize - upload.offset - unflushed
        let quotaLeft = quota.map { $0 - unflushed } ?? .max
        let allowed = max(0, min(sizeLeft, quotaLeft, count))
        received += allowed
        unflushed += allowed
        guard allowed < count else { return (buffer, nil) }
        let accepted = buffer.getSlice(at: buffer.readerIndex, length: Int(allowed)) ?? ByteBuffer()
        let refusal =
            sizeLeft <= quotaLeft
            ? BlobError.tooLarge(service.settings.maximumBlobSize)
            : BlobError(.quotaExceeded, "The quota is used up. What had arrived was kept: delete files, then go on.")
        return (accepted, refusal)
    }

    private func write(_ batch: inout Batch) async throws(BlobError) {
        guard !batch.isEmpty else { return }
        try await writer.write(batch.take())
        guard unflushed >= Self.flushByteCount || lastFlush.duration(to: .now) >= Self.flushInterval else { return }
        _ = try await keep(announcing: false)
        quota = try await service.remainingQuota(of: upload.owner, expecting: 0)
    }

    /// - Throws: ``BlobError/Code/tooLarge`` when the bytes to come would make the blob too large.
    static func checkSize(_ offset: Int64, adding count: Int64, limit: Int64) throws(BlobError) {
        let (size, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, size <= limit else { throw .tooLarge(limit) }
    }
}

/// Buffers that wait to be written together.
private struct Batch {
    private var buffers: [ByteBuffer] = []
    private(set) var byteCount = 0

    var isEmpty: Bool { buffers.isEmpty }

    mutating func append(_ buffer: ByteBuffer) {
        guard buffer.readableBytes > 0 else { return }
        buffers.append(buffer)
        byteCount += buffer.readableBytes
    }

    mutating func take() -> [ByteBuffer] {
        defer { self = Batch() }
        return buffers
    }
}

extension BlobError {
    fileprivate static func tooLarge(_ limit: Int64) -> BlobError {
        BlobError(.tooLarge, "The largest blob that is taken here has \(limit) bytes.")
    }

    /// Whether a client is there to hear the error, and the offset with it.
    fileprivate var tellsOffset: Bool {
        switch code {
        case .badRequest, .uploadSuperseded: false
        default: true
        }
    }

    fileprivate func telling(_ offset: Int64) -> BlobError {
        guard detail == nil else { return self }
        return BlobError(code, message, detail: .offset(offset))
    }
}
