// The world of the random test of byte stores: the model, the rows of uploads, and their open writers.

import BlobCore
import BlobStorage
import NIOCore

/// The model of a byte store under test, and the operations so far.
struct ByteStoreWorld {
    /// The same upload, open for writing in both.
    private struct Writers {
        let model: any UploadWriter
        let backend: any UploadWriter
    }

    private var model = InMemoryByteStore()
    /// As the catalog has them: never further than the last flush.
    private(set) var uploads: [Lease]
    private(set) var digests: [BlobDigest] = []
    private var writers: [UploadID: Writers] = [:]
    private var discarded: [UploadID] = []
    private var number: UInt64 = 0

    init() {
        uploads = []
        for _ in 0..<4 { uploads.append(newUpload()) }
    }

    /// Identities are counted, so that a seed gives the same ones again.
    private mutating func newUpload() -> Lease {
        number += 1
        var generator = SplitMix64(seed: number)
        return .sample(UploadID(using: &generator))
    }

    /// A backend that was killed keeps unflushed bytes, one that lost its power may not; no row speaks of them.
    mutating func restart() {
        model = model.restarted(losingUnflushed: true)
    }

    mutating func closeWriters() {
        writers = [:]
    }
}

// MARK: Operations

extension ByteStoreWorld {
    /// Does the same to both and compares the outcomes.
    mutating func apply(_ operation: ByteStoreOperation, to backend: some ByteStore) async throws {
        switch operation {
        case .open(let index): try await open(uploads[index], in: backend)
        case .write(let index, let count, let buffers, let seed):
            try await write(Self.buffers(buffers, holding: count, seed: seed), to: uploads[index])
        case .flush(let index, let recording):
            let upload = uploads[index]
            guard let durable = try await digest(of: upload, { try await $0.flush().digest }) else { return }
            if recording { uploads[index] = upload.advanced(to: durable) }
        case .publish(let index): try await publish(uploads[index], in: backend)
        case .close(let index): writers[uploads[index].id] = nil
        case .discard(let index):
            let id = uploads[index].id
            writers[id] = nil
            model.discard(id)
            try await backend.discard(id)
            discarded.append(id)
            uploads[index] = newUpload()
        case .remove(let digest):
            model.remove(digest)
            try await backend.remove(digest)
            try await compareBlob(digest, with: backend)
        case .restart: break
        }
    }

    private mutating func open(_ upload: Lease, in backend: some ByteStore) async throws {
        writers[upload.id] = nil
        writers[upload.id] = Writers(
            model: try model.writer(for: upload, expecting: nil),
            backend: try await backend.writer(for: upload, expecting: nil)
        )
        _ = try await digest(of: upload) { await $0.taken() }
    }

    private func write(_ buffers: [ByteBuffer], to upload: Lease) async throws {
        guard let open = writers[upload.id] else { return }
        try await open.model.write(buffers)
        try await open.backend.write(buffers)
    }

    /// The digest that a call to both writers tells; `nil` when the upload is not open.
    private func digest(
        of upload: Lease, _ call: (any UploadWriter) async throws -> RunningDigest
    ) async throws -> RunningDigest? {
        guard let open = writers[upload.id] else { return nil }
        let (expected, actual) = (try await call(open.model), try await call(open.backend))
        try compare("the number of bytes of \(upload.id)", expected: expected.count, actual: actual.count)
        try compare("the digest of \(upload.id)", expected: expected.digest, actual: actual.digest)
        return actual
    }

    private mutating func publish(_ upload: Lease, in backend: some ByteStore) async throws {
        guard let open = writers[upload.id] else { return }
        let digest = await open.model.taken().digest
        try await open.model.publish(as: digest)
        try await open.backend.publish(as: digest)
        // Nothing is written after publishing: the upload is completed, or opened anew.
        writers[upload.id] = nil
        if !digests.contains(digest) { digests.append(digest) }
        try await compareBlob(digest, with: backend)
    }

    private static func buffers(_ number: Int, holding count: Int, seed: UInt64) -> [ByteBuffer] {
        guard number > 0 else { return [] }
        var generator = SplitMix64(seed: seed)
        let bytes = generator.bytes(count)
        return (0..<number).map { index in
            ByteBuffer(bytes: bytes[(count * index / number)..<(count * (index + 1) / number)])
        }
    }
}

// MARK: Comparing

extension ByteStoreWorld {
    /// Compares every blob that was ever published, and the uploads that are held.
    func compareEverything(with backend: some ByteStore) async throws {
        for digest in digests { try await compareBlob(digest, with: backend) }
        let held = Set(try await backend.heldUploads())
        for upload in uploads where upload.offset > 0 {
            try compare("whether \(upload.id) is held", expected: true, actual: held.contains(upload.id))
        }
        for id in discarded {
            try compare("whether \(id) is held, after it was discarded", expected: false, actual: held.contains(id))
        }
    }

    private func compareBlob(_ digest: BlobDigest, with backend: some ByteStore) async throws {
        let expected = try await Outcome { BlobDigest(of: try await model.open(digest).bytes()) }
        let actual = try await Outcome { BlobDigest(of: try await backend.open(digest).bytes()) }
        try compare("the digest of the blob \(digest)", expected: expected, actual: actual)
    }
}
