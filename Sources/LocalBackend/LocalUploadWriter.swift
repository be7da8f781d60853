// Hashes and writes an upload's bytes, off the threads that receive them.

import BlobCore
import BlobStorage
import NIOCore

/// Hashes and writes batches in one hop to a thread each, while the caller collects the next one.
///
/// At most one batch is under way: that bounds memory, keeps the bytes in order, and overlaps the network with the disk.
actor LocalUploadWriter: UploadWriter {
    private let file: UploadFile
    private let store: LocalByteStore
    private var current: UploadProgress
    private var isNameDurable: Bool
    private var isSynced = true
    private var isLost = false
    private var underWay: Task<(UploadProgress, BlobError?), Never>?

    init(file: UploadFile, upload: Upload, store: LocalByteStore) {
        self.file = file
        self.store = store
        current = UploadProgress(offset: upload.offset, digest: upload.digest)
        // The row speaks of bytes only when their file's name was synced.
        isNameDurable = upload.offset > 0
    }

    func write(_ buffers: [ByteBuffer]) async throws(BlobError) {
        try await settle()
        isSynced = false
        let (file, store, start) = (file, store, current)
        underWay = Task {
            do throws(BlobError) {
                return try await store.onThread { () throws(BlobError) in
                    try store.checkFreeSpace(expecting: Int64(buffers.reduce(0) { $0 + $1.readableBytes }))
                    return Self.write(buffers, to: file, from: start)
                }
            } catch {
                return (start, error)
            }
        }
    }

    func flush() async throws(BlobError) -> UploadProgress {
        // An error of earlier bytes was or will be told by the call that took them; what was written is kept.
        _ = await settled()
        guard !isSynced else { return current }
        let (file, syncsName) = (file, !isNameDurable)
        try await syncing { () throws(BlobError) in
            try file.sync()
            if syncsName { try file.syncName() }
        }
        isNameDurable = true
        isSynced = true
        return current
    }

    func progress() async throws(BlobError) -> UploadProgress {
        try await settle()
        return current
    }

    func publish(as digest: BlobDigest) async throws(BlobError) {
        try await settle()
        let (file, target, size, needsSync) = (
            file, store.path(of: digest), current.offset, !isSynced || !isNameDurable
        )
        try await syncing { () throws(BlobError) in
            if needsSync { try file.sync() }
            try file.link(to: target, size: size)
        }
    }

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

    func close() async {
        _ = await settled()
    }

    /// Waits for the batch under way and takes over how far it came.
    private func settled() async -> BlobError? {
        guard let task = underWay else { return nil }
        let (progress, error) = await task.value
        underWay = nil
        current = progress
        return error
    }

    private func settle() async throws(BlobError) {
        if let error = await settled() { throw error }
    }

    private static func write(
        _ buffers: [ByteBuffer], to file: UploadFile, from start: UploadProgress
    ) -> (UploadProgress, BlobError?) {
        var progress = start
        for buffer in buffers {
            let error = buffer.withUnsafeReadableBytes { bytes in
                let (count, error) = file.write(bytes, at: progress.offset)
                progress.digest.update(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                progress.offset += Int64(count)
                return error
            }
            if let error { return (progress, error) }
        }
        return (progress, nil)
    }
}
