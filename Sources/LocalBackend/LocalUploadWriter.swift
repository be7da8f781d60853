// Hashes and writes an upload's bytes, off the threads that receive them.

import BlobCore
import BlobStorage
import NIOCore

/// Hashes and writes a chunk in one hop to a thread, while the connection collects the next one.
actor LocalUploadWriter: UploadWriter {
    private let file: UploadFile
    private let store: LocalByteStore
    private var current: UploadProgress

    init(file: UploadFile, upload: Upload, store: LocalByteStore) {
        self.file = file
        self.store = store
        current = UploadProgress(offset: upload.offset, digest: upload.digest)
    }

    func write(_ buffers: [ByteBuffer]) async throws(BlobError) {
        let (file, store, start) = (file, store, current)
        let (progress, error) = try await store.onThread { () throws(BlobError) in
            try store.checkFreeSpace(expecting: buffers.reduce(0) { $0 + Int64($1.readableBytes) })
            return Self.write(buffers, to: file, from: start)
        }
        current = progress
        if let error { throw error }
    }

    func flush() async throws(BlobError) -> UploadProgress {
        let file = file
        if !file.isFlushed { try await store.onThread { () throws(BlobError) in try file.flush() } }
        return current
    }

    func progress() -> UploadProgress { current }

    func publish(as digest: BlobDigest) async throws(BlobError) {
        let file = file
        try await store.onThread { () throws(BlobError) in try file.publish(as: digest) }
    }

    private static func write(
        _ buffers: [ByteBuffer], to file: UploadFile, from start: UploadProgress
    ) -> (UploadProgress, BlobError?) {
        var progress = start
        // Hashing first brings the bytes into this core's cache while it computes; copying them first would wait for
        // memory.
        for buffer in buffers { buffer.withUnsafeReadableBytes { progress.digest.update($0) } }
        let (count, error) = file.write(buffers, at: start.offset)
        progress.offset += Int64(count)
        if error != nil {
            progress.digest = start.digest
            var left = count
            for buffer in buffers {
                let written = min(left, buffer.readableBytes)
                buffer.withUnsafeReadableBytes {
                    progress.digest.update(UnsafeRawBufferPointer(rebasing: $0[..<written]))
                }
                left -= written
            }
        }
        return (progress, error)
    }
}
