// What the rules of a byte store are written in: a store under test, and short ways to fill and read it.

import BlobCore
import BlobStorage
import NIOCore
import Testing

import struct Foundation.Date

/// An empty byte store that one rule is checked on.
struct ByteStoreTrial: Sendable {
    let store: any ByteStore

    /// An upload's row as a catalog would hand it to the store: claimed, and holding nothing yet.
    func newUpload() -> Upload {
        Upload(id: UploadID(), owner: .ann, name: nil, isTemporary: false, expires: .distantFuture)
    }

    /// Writes bytes to an upload and flushes them.
    ///
    /// - Returns: the upload as the catalog would have advanced it.
    func append(_ bytes: [UInt8], to upload: Upload) async throws -> Upload {
        try await writing(to: upload) { writer in
            try await writer.write([ByteBuffer(bytes: bytes)])
            return upload.advanced(to: try await writer.flush())
        }
    }

    /// Writes bytes to a new upload and publishes them.
    @discardableResult
    func publish(_ bytes: [UInt8]) async throws -> Upload {
        let upload = newUpload()
        return try await writing(to: upload) { writer in
            try await writer.write([ByteBuffer(bytes: bytes)])
            try await writer.publish(as: BlobDigest(of: bytes))
            return upload.advanced(to: try await writer.flush())
        }
    }

    /// Opens a writer for the time of a call.
    func writing<Value: Sendable>(
        to upload: Upload, expecting: Int64? = nil, _ body: (any UploadWriter) async throws -> Value
    ) async throws -> Value {
        try await body(try await store.writer(for: upload, expecting: expecting))
    }

    /// How far the store holds an upload whose row is this.
    func progress(of upload: Upload) async throws -> UploadProgress {
        try await writing(to: upload) { writer in
            let progress = await writer.progress()
            let flushed = try await writer.flush()
            #expect(flushed == progress)
            return progress
        }
    }

    /// The bytes of a published blob.
    func bytes(of digest: BlobDigest) async throws -> [UInt8] {
        try await store.open(digest).bytes()
    }

    func bytes(ofBlobHolding bytes: [UInt8]) async throws -> [UInt8] {
        try await self.bytes(of: BlobDigest(of: bytes))
    }

    /// The bytes that the store holds of an upload, found by publishing them.
    func bytes(of upload: Upload) async throws -> [UInt8] {
        let digest = upload.digest.digest
        try await writing(to: upload) { try await $0.publish(as: digest) }
        return try await bytes(of: digest)
    }

    /// Bytes that look random and are the same in every run.
    func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var generator = SplitMix64(seed: seed)
        return generator.bytes(count)
    }
}

extension Upload {
    /// The upload as a catalog returns it when its offset was moved.
    func advanced(to progress: UploadProgress) -> Upload {
        var upload = self
        upload.offset = progress.offset
        upload.digest = progress.digest
        return upload
    }
}

extension UploadProgress {
    /// The progress of an upload that holds all of these bytes.
    init(of bytes: [UInt8]) {
        var digest = RunningDigest()
        bytes.withUnsafeBytes { digest.update($0) }
        self.init(offset: Int64(bytes.count), digest: digest)
    }
}
