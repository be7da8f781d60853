// The tools for writing the rules of a byte store: a store under test, and short ways to fill and read it.

import BlobCore
import BlobStorage
import NIOCore
import Testing

/// An empty byte store that one rule is checked on.
struct ByteStoreTrial: Sendable {
    let store: any ByteStore

    /// Writes bytes to an upload and flushes them.
    ///
    /// - Returns: the upload as the catalog would have advanced it.
    func append(_ bytes: [UInt8], to upload: Lease) async throws -> Lease {
        try await writing(to: upload) { writer in
            try await writer.write([ByteBuffer(bytes: bytes)])
            return upload.advanced(to: try await writer.flush().digest)
        }
    }

    /// Writes bytes to a new upload and publishes them.
    @discardableResult
    func publish(_ bytes: [UInt8]) async throws -> Lease {
        let upload = Lease.sample()
        return try await writing(to: upload) { writer in
            try await writer.write([ByteBuffer(bytes: bytes)])
            try await writer.publish(as: BlobDigest(of: bytes))
            return upload.advanced(to: try await writer.flush().digest)
        }
    }

    /// Opens a writer for the time of a call.
    func writing<Value: Sendable>(
        to upload: Lease, expecting: Int64? = nil, _ body: (any UploadWriter) async throws -> Value
    ) async throws -> Value {
        try await body(try await store.writer(for: upload, expecting: expecting))
    }

    /// The digest of the bytes that the store holds of an upload with this row.
    func held(of upload: Lease) async throws -> RunningDigest {
        try await writing(to: upload) { writer in
            let taken = await writer.taken()
            let durable = try await writer.flush()
            #expect(durable == DurableBytes(taken))
            return taken
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
    func bytes(of upload: Lease) async throws -> [UInt8] {
        let digest = upload.upload.digest.digest
        try await writing(to: upload) { try await $0.publish(as: digest) }
        return try await bytes(of: digest)
    }

    /// Bytes that look random and are the same in every run.
    func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var generator = SplitMix64(seed: seed)
        return generator.bytes(count)
    }
}
