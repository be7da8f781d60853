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
    let target: BucketBackend
    let logger: Logger

    private static let pieceByteCount: Int64 = 1 << 20
    /// The bytes that a stopped run may have to send again.
    private static let checkpointByteCount: Int64 = 64 << 20
    /// How long the bytes of a run that was stopped are kept for the next one.
    private static let lifetime: TimeInterval = 30 * 86_400

    /// Copies a blob, if it is not damaged.
    ///
    /// - Returns: `false` when its bytes do not have its digest, or are gone.
    func copy(_ record: BlobRecord, report: MigrationReport) async throws -> Bool {
        guard let file = try await opened(record) else { return false }
        return try await persistently {
            let original = Upload(
                id: UploadID(of: record.digest), owner: Subject("blobd migrate"), name: nil, isTemporary: false,
                expires: Date(timeIntervalSinceNow: Self.lifetime)
            )
            let (lease, writer) = try await send(file, upTo: record.size, as: original, report: report)
            let taken = await writer.taken()
            guard taken.count == record.size, taken.digest == record.digest else {
                try await discard(lease.upload)
                return false
            }
            try await writer.publish(as: record.digest)
            try await target.catalog.importBlob(record, from: lease)
            report.finished()
            return true
        }
    }

    /// Copies the acknowledged bytes of an open upload.
    ///
    /// - Returns: `false` when fewer bytes are held than that, or others.
    func copy(_ original: Upload) async throws -> Bool {
        let file = try await source.openUpload(original.id)
        guard original.offset == 0 || file != nil else { return false }
        return try await persistently {
            let (lease, writer) = try await send(file, upTo: original.offset, as: original, report: nil)
            let durable = try await writer.flush()
            if let shortfall = durable.shortfall { throw shortfall }
            guard durable.digest == original.digest else { return false }
            _ = try await target.catalog.advance(
                lease, to: durable.digest, expires: original.expires, announcing: false, quota: nil
            )
            try await target.catalog.announce(original.announced, of: lease.id)
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
        } catch  where error.reason == .bytesUnknown {
            return nil
        }
    }

    /// Sends bytes of a file to an upload, from where that stands, recording how far it is.
    ///
    /// - Parameters:
    ///   - file: `nil` for no bytes.
    ///   - original: the upload as it is to be; made in the target, unless it is there.
    private func send(
        _ file: BlobFile?, upTo end: Int64, as original: Upload, report: MigrationReport?
    ) async throws -> (Lease, any UploadWriter) {
        var lease = try await claim(original, upTo: end)
        report?.skip(lease.offset)
        let writer = try await target.bytes.writer(for: lease, expecting: end - lease.offset)
        guard let file, lease.offset < end else { return (lease, writer) }
        var offset = lease.offset
        while offset < end {
            let buffer = try await Self.read(file, from: offset, count: min(Self.pieceByteCount, end - offset))
            guard buffer.readableBytes > 0 else { break }
            try await writer.write([buffer])
            offset += Int64(buffer.readableBytes)
            report?.sent(buffer.readableBytes)
            guard offset - lease.offset >= Self.checkpointByteCount else { continue }
            let durable = try await writer.checkpoint()
            if let shortfall = durable.shortfall { throw shortfall }
            if durable.digest.count > lease.offset {
                lease = try await target.catalog.advance(
                    lease, to: durable.digest, expires: original.expires, announcing: false, quota: nil
                )
            }
        }
        return (lease, writer)
    }

    /// The right to write to the upload; made anew when there is none, or none that can go on.
    private func claim(_ original: Upload, upTo end: Int64) async throws(BlobError) -> Lease {
        var held = try await target.catalog.upload(original.id)
        if let old = held, old.state != .open || old.offset > end {
            try await discard(old)
            held = nil
        }
        if held == nil {
            let new = Upload(
                id: original.id, owner: original.owner, name: original.name, isTemporary: original.isTemporary,
                path: original.path, expires: original.expires
            )
            try await target.catalog.create(new, openUploadLimit: .max, quota: nil)
        }
        // Another run may have completed it since.
        guard case .open(let lease) = try await target.catalog.claim(original.id, of: original.owner) else {
            throw .uploadSuperseded
        }
        return lease
    }

    private func discard(_ upload: Upload) async throws(BlobError) {
        try await target.catalog.destroy(upload.id, of: upload.owner)
        try await target.bytes.discard(upload.id)
    }

    /// Tries again while the database or the bucket is away.
    private func persistently<Value>(_ work: () async throws -> Value) async throws -> Value {
        let backoff = Backoff(first: .seconds(1), longest: .seconds(32))
        for failures in 1...7 {
            do {
                return try await work()
            } catch let error as BlobError where error.isUnavailable && !Task.isCancelled {
                logger.warning("the target is away; trying again", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: backoff.pause(afterFailures: failures))
            }
        }
        return try await work()
    }

    private static func read(
        _ file: BlobFile, from offset: Int64, count: Int64
    ) async throws(OperatorError) -> ByteBuffer {
        do {
            return try await NIOThreadPool.singleton.runIfActive {
                var buffer = ByteBuffer()
                _ = try file.read(offset..<offset + count, into: &buffer)
                return buffer
            }
        } catch {
            throw unreadable(error)
        }
    }

    private static func unreadable(_ error: any Error) -> OperatorError {
        let reason = (error as? IOError).map { ": \(Errno(rawValue: $0.errnoCode))" } ?? ""
        return OperatorError(
            "the data directory cannot be read\(reason); 'blobd check' tells what is damaged")
    }
}

extension UploadID {
    /// The upload as which a blob is brought: the same in every run, so that one goes on where another was stopped.
    fileprivate init(of digest: BlobDigest) {
        let bytes = digest.bytes.prefix(16)
        self.init(bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) })
    }
}
