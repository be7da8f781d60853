// Hashes and writes an upload's bytes, off the threads that receive them.

import BlobCore
import BlobStorage
import NIOCore

/// Hashes and writes a chunk in one hop to a thread, while the connection collects the next one.
actor LocalUploadWriter: UploadWriter {
    private let file: UploadFile
    private let store: LocalByteStore
    private var current: RunningDigest

    init(file: UploadFile, upload: Upload, store: LocalByteStore) {
        self.file = file
        self.store = store
        current = upload.digest
    }

    func write(_ buffers: [ByteBuffer]) async throws(BlobError) {
        let (file, store, start) = (file, store, current)
        let (digest, error) = try await store.onThread { () throws(BlobError) in
            try store.room.require(buffers.reduce(0) { $0 + Int64($1.readableBytes) })
            return Self.write(buffers, to: file, from: start)
        }
        current = digest
        if let error { throw error }
    }

    func flush() async throws(BlobError) -> DurableBytes {
        let file = file
        if !file.isFlushed { try await store.onThread { () throws(BlobError) in try file.flush() } }
        return DurableBytes(current)
    }

    func taken() -> RunningDigest { current }

    func publish(as digest: BlobDigest) async throws(BlobError) {
        let (file, isHiding) = (file, store.hidesPresence)
        let replaced = try await store.onThread { () throws(BlobError) in
            try file.publish(as: digest, hidingPresence: isHiding)
        }
        if let replaced { store.replacedFiles.closeLater(replaced) }
    }

    /// Bytes that are hashed and then written at a time: so few that they are in the core's cache when they are copied,
    /// and so many that the small frames of HTTP/2 do not cost a system call each.
    private static let groupByteCount = 128 * 1024

    private static func write(
        _ buffers: [ByteBuffer], to file: UploadFile, from start: RunningDigest
    ) -> (RunningDigest, BlobError?) {
        var digest = start
        var (group, byteCount) = ([ByteBuffer](), 0)
        for (index, buffer) in buffers.enumerated() {
            group.append(buffer)
            byteCount += buffer.readableBytes
            guard byteCount >= groupByteCount || index == buffers.count - 1 else { continue }
            if let error = write(group, to: file, from: &digest) { return (digest, error) }
            (group, byteCount) = ([], 0)
        }
        return (digest, nil)
    }

    /// - Returns: the error when not all bytes were written.
    private static func write(
        _ group: [ByteBuffer], to file: UploadFile, from digest: inout RunningDigest
    ) -> BlobError? {
        // Hashing first brings the bytes into this core's cache while it computes; copying them first would wait for
        // memory.
        var whole = digest
        for buffer in group { buffer.withUnsafeReadableBytes { whole.update($0) } }
        let (count, error) = file.write(group, at: digest.count)
        guard error != nil else {
            digest = whole
            return nil
        }
        var left = count
        for buffer in group {
            let written = min(left, buffer.readableBytes)
            buffer.withUnsafeReadableBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<written])) }
            left -= written
        }
        return error
    }
}
