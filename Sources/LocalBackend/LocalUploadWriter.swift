// Hashes and writes an upload's bytes, off the threads that receive them.

import BlobCore
import BlobStorage
import NIOCore

/// Hashes and writes a chunk in one hop to a thread, while the connection collects the next one.
actor LocalUploadWriter: UploadWriter {
    private let file: UploadFile
    private let store: LocalByteStore
    private var current: UploadProgress
    private var isNameDurable: Bool
    private var isSynced = true
    private var isLost = false

    init(file: UploadFile, upload: Upload, store: LocalByteStore) {
        self.file = file
        self.store = store
        current = UploadProgress(offset: upload.offset, digest: upload.digest)
        // The row speaks of bytes only when their file's name was synced.
        isNameDurable = upload.offset > 0
    }

    func write(_ buffers: [ByteBuffer]) async throws(BlobError) {
        isSynced = false
        let (file, store, start) = (file, store, current)
        let (progress, error) = try await store.onThread { () throws(BlobError) in
            try store.checkFreeSpace(expecting: buffers.reduce(0) { $0 + Int64($1.readableBytes) })
            return Self.write(buffers, to: file, from: start)
        }
        current = progress
        if let error { throw error }
    }

    func flush() async throws(BlobError) -> UploadProgress {
        guard !isSynced || !isNameDurable else { return current }
        let (file, needsSync, needsName) = (file, !isSynced, !isNameDurable)
        try await syncing { () throws(BlobError) in
            if needsSync { try file.sync() }
            if needsName { try file.keepName() }
        }
        isNameDurable = true
        isSynced = true
        return current
    }

    func progress() -> UploadProgress { current }

    func publish(as digest: BlobDigest) async throws(BlobError) {
        let (file, target, size) = (file, store.path(of: digest), current.offset)
        let needsSync = !isSynced
        try await syncing { () throws(BlobError) in
            if needsSync { try file.sync() }
            try file.publish(at: target, size: size)
        }
        isSynced = true
    }

    func close() {}

    /// Runs work that makes bytes durable. Once it lost some, it is never tried again.
    private func syncing(_ work: @escaping @Sendable () throws(BlobError) -> Void) async throws(BlobError) {
        guard !isLost else { throw .uploadFailed }
        do throws(BlobError) {
            try await store.onThread(work)
        } catch {
            isLost = error.code == .uploadFailed
            throw error
        }
    }

    private static func write(
        _ buffers: [ByteBuffer], to file: UploadFile, from start: UploadProgress
    ) -> (UploadProgress, BlobError?) {
        var progress = start
        for buffer in buffers {
            let error = buffer.withUnsafeReadableBytes { bytes in
                // Hashing first brings the bytes into this core's cache while it computes; copying them first would wait
                // for memory.
                var digest = progress.digest
                digest.update(bytes)
                let (count, error) = file.write(bytes, at: progress.offset)
                if count == bytes.count {
                    progress.digest = digest
                } else {
                    progress.digest.update(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                }
                progress.offset += Int64(count)
                return error
            }
            if let error { return (progress, error) }
        }
        return (progress, nil)
    }
}
