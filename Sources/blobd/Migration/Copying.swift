// Copies bytes of a disk into uploads of a bucket.

import BlobCore
import BlobStorage
import CloudBackend
import Foundation
import LocalBackend
import Logging
import NIOCore
import NIOPosix
import SystemPackage

/// Sends files as uploads, which go on where an earlier run was stopped.
struct Copying {
    let source: LocalByteStore
    let target: CloudStorage
    let logger: Logger

    private static let fileIO = NonBlockingFileIO(threadPool: .singleton)
    private static let pieceByteCount: Int64 = 1 << 20
    /// What a stopped run may have to send again.
    private static let checkpointByteCount: Int64 = 64 << 20
    /// How long the bytes of a run that was stopped are kept for the next one.
    private static let lifetime: TimeInterval = 30 * 86_400

    /// Copies a blob, if it is not damaged.
    ///
    /// - Returns: `false` when its bytes are not what its digest says, or gone.
    func copy(_ record: BlobRecord, report: MigrationReport) async throws(BlobError) -> Bool {
        guard let file = try await opened(record) else { return false }
        return try await persistently { () throws(BlobError) in
            let original = Upload(
                id: UploadID(of: record.digest), owner: Subject("blobd migrate"), name: nil, isTemporary: false,
                expires: Date(timeIntervalSinceNow: Self.lifetime)
            )
            let (upload, writer) = try await send(file, upTo: record.size, as: original, report: report)
            let progress = await writer.progress()
            guard progress.offset == record.size, progress.digest.digest == record.digest else {
                try await discard(upload)
                return false
            }
            try await writer.publish(as: record.digest)
            try await target.catalog.importBlob(record, from: upload)
            report.finished()
            return true
        }
    }

    /// Copies the acknowledged bytes of an open upload.
    ///
    /// - Returns: `false` when fewer bytes are held than that, or others.
    func copy(_ original: Upload) async throws(BlobError) -> Bool {
        let file = try await source.openUpload(original.id)
        guard original.offset == 0 || file != nil else { return false }
        return try await persistently { () throws(BlobError) in
            var (upload, writer) = try await send(file, upTo: original.offset, as: original, report: nil)
            let progress = try await writer.flush()
            guard progress.offset == original.offset, progress.digest.digest == original.digest.digest else {
                return false
            }
            upload = try await target.catalog.advance(
                upload, to: progress, expires: original.expires, announcing: false
            )
            try await target.catalog.announce(original.announced, of: upload.id)
            return true
        }
    }

    // MARK: Steps

    /// The blob's file; `nil` when there is none of its size.
    private func opened(_ record: BlobRecord) async throws(BlobError) -> BlobFile? {
        do throws(BlobError) {
            guard case .file(let file) = try await source.open(record.digest), file.size == record.size else {
                return nil
            }
            return file
        } catch  where error.code == .blobUnknown {
            return nil
        }
    }

    /// Sends bytes of a file to an upload, from where that stands, recording how far it is.
    ///
    /// - Parameters:
    ///   - file: `nil` for no bytes.
    ///   - original: what the upload is to be; made in the target, unless it is there.
    private func send(
        _ file: BlobFile?, upTo end: Int64, as original: Upload, report: MigrationReport?
    ) async throws(BlobError) -> (Upload, any UploadWriter) {
        var upload = try await claimed(original, upTo: end)
        report?.skip(upload.offset)
        let writer = try await target.bytes.writer(for: upload, expecting: end - upload.offset)
        guard let file, upload.offset < end else { return (upload, writer) }
        let handle = try Self.reading { try file.makeHandle() }
        defer { try? handle.close() }
        var offset = upload.offset
        while offset < end {
            let buffer = try await Self.read(handle, from: offset, count: min(Self.pieceByteCount, end - offset))
            guard buffer.readableBytes > 0 else { break }
            try await writer.write([buffer])
            offset += Int64(buffer.readableBytes)
            report?.sent(buffer.readableBytes)
            guard offset - upload.offset >= Self.checkpointByteCount else { continue }
            let progress = try await writer.checkpoint()
            if progress.offset > upload.offset {
                upload = try await target.catalog.advance(
                    upload, to: progress, expires: original.expires, announcing: false
                )
            }
        }
        return (upload, writer)
    }

    /// The upload with the right to write; made anew when there is none, or none that can go on.
    private func claimed(_ original: Upload, upTo end: Int64) async throws(BlobError) -> Upload {
        if let held = try await target.catalog.upload(original.id) {
            if held.state == .open && held.offset <= end {
                return try await target.catalog.claim(held.id, of: held.owner)
            }
            try await discard(held)
        }
        var new = Upload(
            id: original.id, owner: original.owner, name: original.name, isTemporary: original.isTemporary,
            path: original.path, expires: original.expires
        )
        // Claimed already by whoever makes it: another run that makes it now fails, and tries again.
        new.epoch = 1
        try await target.catalog.create(new, openUploadLimit: .max)
        return new
    }

    private func discard(_ upload: Upload) async throws(BlobError) {
        try await target.catalog.destroy(upload.id, of: upload.owner)
        try await target.bytes.discard(upload.id)
    }

    /// Tries again while the database or the bucket is away.
    private func persistently<Value>(_ work: () async throws(BlobError) -> Value) async throws(BlobError) -> Value {
        let backoff = Backoff(first: .seconds(1), longest: .seconds(32))
        for failures in 1...7 {
            do throws(BlobError) {
                return try await work()
            } catch  where error.code == .unavailable && !Task.isCancelled {
                logger.warning("the target is away; trying again", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: backoff.pause(afterFailures: failures))
            }
        }
        return try await work()
    }

    private static func read(
        _ handle: NIOFileHandle, from offset: Int64, count: Int64
    ) async throws(BlobError) -> ByteBuffer {
        do {
            return try await fileIO.read(
                fileHandle: handle, fromOffset: offset, byteCount: Int(count), allocator: ByteBufferAllocator()
            )
        } catch {
            throw unreadable(error)
        }
    }

    private static func reading<Value>(_ body: () throws -> Value) throws(BlobError) -> Value {
        do {
            return try body()
        } catch {
            throw unreadable(error)
        }
    }

    private static func unreadable(_ error: any Error) -> BlobError {
        let reason = (error as? IOError).map { ": \(Errno(rawValue: $0.errnoCode))" } ?? ""
        return BlobError(
            .internalError, "the data directory cannot be read\(reason); 'blobd check' tells what is damaged")
    }
}

extension UploadID {
    /// The upload as which a blob is brought: the same in every run, so that one goes on where another was stopped.
    fileprivate init(of digest: BlobDigest) {
        let bytes = digest.bytes.prefix(16)
        self.init(bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) })
    }
}
