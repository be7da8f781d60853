// The rules of published blobs.

import BlobCore
import BlobStorage
import NIOCore
import Synchronization
import Testing

/// A byte store's promises about blobs.
public enum BlobRule: String, CaseIterable, Sendable {
    /// A published blob opens with its size and its bytes.
    case publishedBlobOpens
    /// A blob that was never published is unknown.
    case unpublishedBlobIsUnknown
    /// Zero bytes are a blob.
    case zeroBytesAreABlob
    /// Publishing takes bytes that were not flushed before.
    case publishFlushesFirst
    /// Publishing again, by the same upload, changes nothing.
    case publishCanBeRepeated
    /// Publishing bytes that another upload has published changes nothing.
    case sameBytesCanBePublishedByManyUploads
    /// Publishing leaves the upload's own bytes: it can be opened and goes on.
    case publishLeavesTheUploadsBytes
    /// Discarding the upload leaves the blob.
    case discardLeavesTheBlob
    /// A blob stays as it is when its upload, whose completion failed, takes other bytes.
    case uploadCannotChangeItsBlob
    /// A removed blob is unknown, and removing it can be repeated.
    case removeCanBeRepeated
    /// Removing a blob that is not held has no effect.
    case removeOfUnknownBlobHasNoEffect
    /// An opened blob can be read to its end after it was removed.
    case openedBlobOutlivesItsRemoval
    /// A removed blob can be published again.
    case removedBlobCanComeBack
    /// A blob can be opened many times at once.
    case blobCanBeOpenedManyTimes
    /// Blobs are no uploads: they are not listed as held.
    case blobsAreNotHeldUploads
    /// Published blobs are listed as held, each under its digest's first byte, until they are removed.
    case publishedBlobsAreHeld
    /// Measuring tells the number of the bytes and their SHA-256, and paces all of them; nothing is told of bytes that
    /// are not held.
    case measuringTellsTheBytes
    /// A blob in quarantine is not held any more, and the same bytes can be published again.
    case quarantinedBlobIsGone
    /// Publishing puts its bytes in the place of those that are there. Who looked at those puts no others into
    /// quarantine.
    case quarantineSparesWhatCameSince
    /// The number of bytes that are held of an upload is told, flushed or not past its offset.
    case heldBytesOfAnUploadAreCounted
    /// Many blobs are kept apart.
    case manyBlobsAreApart
    /// A store that works is ready and has some room.
    case workingStoreIsReady

    func check(_ trial: ByteStoreTrial) async throws {
        switch self {
        case .publishedBlobOpens: try await trial.publishedBlobOpens()
        case .unpublishedBlobIsUnknown: try await trial.unpublishedBlobIsUnknown()
        case .zeroBytesAreABlob: try await trial.zeroBytesAreABlob()
        case .publishFlushesFirst: try await trial.publishFlushesFirst()
        case .publishCanBeRepeated: try await trial.publishCanBeRepeated()
        case .sameBytesCanBePublishedByManyUploads: try await trial.sameBytesCanBePublishedByManyUploads()
        case .publishLeavesTheUploadsBytes: try await trial.publishLeavesTheUploadsBytes()
        case .discardLeavesTheBlob: try await trial.discardLeavesTheBlob()
        case .uploadCannotChangeItsBlob: try await trial.uploadCannotChangeItsBlob()
        case .removeCanBeRepeated: try await trial.removeCanBeRepeated()
        case .removeOfUnknownBlobHasNoEffect: try await trial.removeOfUnknownBlobHasNoEffect()
        case .openedBlobOutlivesItsRemoval: try await trial.openedBlobOutlivesItsRemoval()
        case .removedBlobCanComeBack: try await trial.removedBlobCanComeBack()
        case .blobCanBeOpenedManyTimes: try await trial.blobCanBeOpenedManyTimes()
        case .blobsAreNotHeldUploads: try await trial.blobsAreNotHeldUploads()
        case .publishedBlobsAreHeld: try await trial.publishedBlobsAreHeld()
        case .measuringTellsTheBytes: try await trial.measuringTellsTheBytes(in: trial.store)
        case .quarantinedBlobIsGone: try await trial.quarantinedBlobIsGone(in: trial.store)
        case .quarantineSparesWhatCameSince: try await trial.quarantineSparesWhatCameSince(in: trial.store)
        case .heldBytesOfAnUploadAreCounted: try await trial.heldBytesOfAnUploadAreCounted()
        case .manyBlobsAreApart: try await trial.manyBlobsAreApart()
        case .workingStoreIsReady: try await trial.workingStoreIsReady()
        }
    }
}

extension ByteStoreTrial {
    fileprivate func publishedBlobOpens() async throws {
        for count in [1, 63, 64, 4096, 1_000_000] {
            let content = bytes(count, seed: UInt64(count))
            try await publish(content)
            let opened = try await store.open(BlobDigest(of: content))
            #expect(opened.size == Int64(count))
            #expect(try await opened.bytes() == content)
        }
    }

    fileprivate func unpublishedBlobIsUnknown() async throws {
        let content = bytes(1000)
        await expectError(.bytesUnknown) { _ = try await store.open(BlobDigest(of: content)) }
        _ = try await append(content, to: .sample())
        await expectError(.bytesUnknown) { _ = try await store.open(BlobDigest(of: content)) }
        try await publish(bytes(1000, seed: 2))
        await expectError(.bytesUnknown) { _ = try await store.open(BlobDigest(of: content)) }
    }

    fileprivate func zeroBytesAreABlob() async throws {
        let digest = BlobDigest(of: [])
        try await writing(to: .sample()) { try await $0.publish(as: digest) }
        let opened = try await store.open(digest)
        #expect(opened.size == 0)
        #expect(try await opened.bytes() == [])
    }

    fileprivate func publishFlushesFirst() async throws {
        let content = bytes(5000)
        try await writing(to: .sample()) { writer in
            try await writer.write([ByteBuffer(bytes: content[..<2000])])
            _ = try await writer.flush()
            try await writer.write([ByteBuffer(bytes: content[2000...])])
            try await writer.publish(as: BlobDigest(of: content))
            #expect(try await bytes(ofBlobHolding: content) == content)
            #expect(try await writer.flush() == DurableBytes(RunningDigest(of: content)))
        }
    }

    fileprivate func publishCanBeRepeated() async throws {
        let content = bytes(5000)
        let digest = BlobDigest(of: content)
        let upload = try await publish(content)
        // The completion was not recorded, and the client tries again.
        for _ in 0..<2 {
            try await writing(to: upload) { writer in
                try await writer.publish(as: digest)
                try await writer.publish(as: digest)
            }
            #expect(try await bytes(of: digest) == content)
        }
    }

    fileprivate func sameBytesCanBePublishedByManyUploads() async throws {
        let content = bytes(5000)
        let uploads = [try await publish(content), try await publish(content), try await publish(content)]
        #expect(try await bytes(ofBlobHolding: content) == content)
        for upload in uploads {
            try await store.discard(upload.id)
            #expect(try await bytes(ofBlobHolding: content) == content)
        }
    }

    fileprivate func publishLeavesTheUploadsBytes() async throws {
        let (content, more) = (bytes(5000), bytes(100, seed: 2))
        let upload = try await publish(content)
        #expect(try await store.heldUploads() == [upload.id])
        #expect(try await held(of: upload) == RunningDigest(of: content))
        let longer = try await append(more, to: upload)
        #expect(try await bytes(of: longer) == content + more)
    }

    fileprivate func discardLeavesTheBlob() async throws {
        let content = bytes(5000)
        let upload = try await publish(content)
        try await store.discard(upload.id)
        #expect(try await store.heldUploads() == [])
        #expect(try await bytes(ofBlobHolding: content) == content)
    }

    fileprivate func uploadCannotChangeItsBlob() async throws {
        let (content, other) = (bytes(5000), bytes(5000, seed: 2))
        for acknowledged in [0, 2500, 5000] {
            var upload = Lease.sample()
            upload = try await append(Array(content[..<acknowledged]), to: upload)
            try await writing(to: upload) { writer in
                try await writer.write([ByteBuffer(bytes: content[acknowledged...])])
                try await writer.publish(as: BlobDigest(of: content))
            }
            // Published, but the row was never advanced: the upload goes on from the acknowledged bytes.
            _ = try await append(Array(other[acknowledged...]), to: upload)
            #expect(try await bytes(ofBlobHolding: content) == content)
            _ = try await append(other, to: upload)
            #expect(try await bytes(ofBlobHolding: content) == content)
            try await store.remove(BlobDigest(of: content))
        }
    }

    fileprivate func removeCanBeRepeated() async throws {
        let (content, other) = (bytes(5000), bytes(5000, seed: 2))
        for content in [content, other] { try await store.discard(try await publish(content).id) }
        for _ in 0..<3 {
            try await store.remove(BlobDigest(of: content))
            await expectError(.bytesUnknown) { _ = try await store.open(BlobDigest(of: content)) }
        }
        #expect(try await bytes(ofBlobHolding: other) == other)
    }

    fileprivate func removeOfUnknownBlobHasNoEffect() async throws {
        let content = bytes(5000)
        try await publish(content)
        try await store.remove(BlobDigest(of: bytes(5000, seed: 2)))
        #expect(try await bytes(ofBlobHolding: content) == content)
    }

    fileprivate func openedBlobOutlivesItsRemoval() async throws {
        let content = bytes(1_000_000)
        let upload = try await publish(content)
        let opened = try await store.open(BlobDigest(of: content))
        try await store.discard(upload.id)
        try await store.remove(BlobDigest(of: content))
        #expect(opened.size == 1_000_000)
        #expect(try await opened.bytes() == content)
        #expect(try await opened.bytes() == content)
    }

    fileprivate func removedBlobCanComeBack() async throws {
        let content = bytes(5000)
        for _ in 0..<2 {
            try await store.discard(try await publish(content).id)
            #expect(try await bytes(ofBlobHolding: content) == content)
            try await store.remove(BlobDigest(of: content))
        }
        await expectError(.bytesUnknown) { _ = try await store.open(BlobDigest(of: content)) }
    }

    fileprivate func blobCanBeOpenedManyTimes() async throws {
        let content = bytes(100_000)
        try await publish(content)
        let results = await concurrently(32) { _ in try await bytes(ofBlobHolding: content) == content }
        for result in results { #expect(try result.get()) }
    }

    fileprivate func blobsAreNotHeldUploads() async throws {
        for seed in 1...3 { try await store.discard(try await publish(bytes(100, seed: UInt64(seed))).id) }
        #expect(try await store.heldUploads() == [])
    }

    fileprivate func publishedBlobsAreHeld() async throws {
        let contents = (1...32).map { bytes($0, seed: UInt64($0)) }
        var digests = Set(contents.map { BlobDigest(of: $0) })
        for content in contents { try await publish(content) }
        #expect(try await heldBlobs() == digests)
        let removed = BlobDigest(of: contents[0])
        try await store.remove(removed)
        digests.remove(removed)
        #expect(try await heldBlobs() == digests)
    }

    private func heldBlobs() async throws -> Set<BlobDigest> {
        var held: Set<BlobDigest> = []
        for byte in UInt8.min...UInt8.max {
            for digest in try await store.heldBlobs(beginningWith: byte) {
                #expect(digest.bytes.first == byte)
                #expect(held.insert(digest).inserted)
            }
        }
        return held
    }

    fileprivate func measuringTellsTheBytes(in store: some ByteStore) async throws {
        for content in [[], bytes(1), bytes((3 << 20) + 17)] {
            try await publish(content)
            let digest = BlobDigest(of: content)
            let paced = Mutex(0)
            let place = try #require(try await store.place(of: digest))
            let measured = try await store.measure(digest, at: place) { count in paced.withLock { $0 += count } }
            #expect(try await store.size(of: digest, at: place) == Int64(content.count))
            #expect(measured == MeasuredBytes(size: Int64(content.count), digest: digest))
            #expect(paced.withLock { $0 } == content.count)
        }
        #expect(try await store.place(of: BlobDigest(of: bytes(2))) == nil)
    }

    fileprivate func quarantinedBlobIsGone(in store: some ByteStore) async throws {
        let content = bytes(5000)
        let digest = BlobDigest(of: content)
        for _ in 0..<3 {
            try await publish(content)
            #expect(try await bytes(of: digest) == content)
            let place = try #require(try await store.place(of: digest))
            for _ in 0..<2 {
                try await store.quarantine(digest, at: place)
                await expectError(.bytesUnknown) { _ = try await store.open(digest) }
                #expect(try await store.place(of: digest) == nil)
            }
            #expect(try await heldBlobs() == [])
        }
    }

    fileprivate func quarantineSparesWhatCameSince(in store: some ByteStore) async throws {
        let content = bytes(5000)
        let digest = BlobDigest(of: content)
        try await publish(content)
        let place = try #require(try await store.place(of: digest))
        try await publish(content)
        try await store.quarantine(digest, at: place)
        #expect(try await bytes(of: digest) == content)
        try await store.quarantine(digest, at: try #require(try await store.place(of: digest)))
        await expectError(.bytesUnknown) { _ = try await store.open(digest) }
    }

    fileprivate func heldBytesOfAnUploadAreCounted() async throws {
        let upload = try await append(bytes(5000), to: .sample())
        #expect(try await store.heldByteCount(of: upload.id) == 5000)
        _ = try await append(bytes(100), to: upload)
        #expect(try await store.heldByteCount(of: upload.id) == 5100)
        try await store.discard(upload.id)
        #expect(try await store.heldByteCount(of: upload.id) == nil)
    }

    fileprivate func manyBlobsAreApart() async throws {
        for seed in 1...64 { try await publish(bytes(seed, seed: UInt64(seed))) }
        for seed in 1...64 {
            let content = bytes(seed, seed: UInt64(seed))
            #expect(try await bytes(ofBlobHolding: content) == content)
        }
    }

    fileprivate func workingStoreIsReady() async throws {
        try await store.checkReadiness()
        if let available = try await store.availableBytes() { #expect(available > 0) }
        try await publish(bytes(100))
        try await store.checkReadiness()
    }
}
