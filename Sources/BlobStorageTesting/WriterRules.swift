// The rules of writing an upload's bytes.

import BlobCore
import BlobStorage
import NIOCore
import Testing

/// A byte store's promises about an upload's bytes while they arrive.
public enum WriterRule: String, CaseIterable, Sendable {
    /// A new upload holds nothing.
    case newUploadIsEmpty
    /// Flushing tells the number of the bytes and their SHA-256, at every flush.
    case flushTellsBytesAndDigest
    /// Flushing without new bytes tells the same again.
    case flushCanBeRepeated
    /// A writer tells the digest of the bytes that it took, flushed or not.
    case digestOfWhatWasTaken
    /// A reopened upload goes on where it was, with the running digest.
    case reopenedUploadGoesOn
    /// Flushed bytes past the offset go when the upload is opened.
    case bytesPastTheOffsetGo
    /// Bytes that were never flushed go when the upload is opened at its offset.
    case unflushedBytesGo
    /// An upload that holds fewer bytes than were acknowledged has failed.
    case lostBytesFailTheUpload
    /// Empty buffers, and no buffers, change nothing.
    case emptyBuffersChangeNothing
    /// Of a buffer its readable bytes count, not those before or behind.
    case onlyReadableBytesAreWritten
    /// Buffers are written in their order.
    case buffersKeepTheirOrder
    /// Many small buffers arrive whole.
    case manySmallBuffersArrive
    /// Large buffers arrive whole.
    case largeBuffersArrive
    /// The expected number is a hint: more, fewer or no bytes may come.
    case expectationIsAHint
    /// A store that knows its room refuses an expectation beyond it, and keeps the bytes that it holds.
    case impossibleExpectationIsRefused
    /// Two uploads written side by side keep their bytes apart.
    case uploadsSideBySideAreApart
    /// Many uploads written at the same time all arrive.
    case concurrentUploadsArrive
    /// An upload of which bytes were flushed is held, until it is discarded.
    case flushedUploadIsHeld
    /// Discarding takes an upload's bytes away, and can be repeated.
    case discardCanBeRepeated
    /// Discarding an upload that is not held has no effect.
    case discardOfUnknownUploadHasNoEffect

    func check(_ trial: ByteStoreTrial) async throws {
        switch self {
        case .newUploadIsEmpty: try await trial.newUploadIsEmpty()
        case .flushTellsBytesAndDigest: try await trial.flushTellsBytesAndDigest()
        case .flushCanBeRepeated: try await trial.flushCanBeRepeated()
        case .digestOfWhatWasTaken: try await trial.digestOfWhatWasTaken()
        case .reopenedUploadGoesOn: try await trial.reopenedUploadGoesOn()
        case .bytesPastTheOffsetGo: try await trial.bytesPastTheOffsetGo()
        case .unflushedBytesGo: try await trial.unflushedBytesGo()
        case .lostBytesFailTheUpload: try await trial.lostBytesFailTheUpload()
        case .emptyBuffersChangeNothing: try await trial.emptyBuffersChangeNothing()
        case .onlyReadableBytesAreWritten: try await trial.onlyReadableBytesAreWritten()
        case .buffersKeepTheirOrder: try await trial.buffersKeepTheirOrder()
        case .manySmallBuffersArrive: try await trial.manySmallBuffersArrive()
        case .largeBuffersArrive: try await trial.largeBuffersArrive()
        case .expectationIsAHint: try await trial.expectationIsAHint()
        case .impossibleExpectationIsRefused: try await trial.impossibleExpectationIsRefused()
        case .uploadsSideBySideAreApart: try await trial.uploadsSideBySideAreApart()
        case .concurrentUploadsArrive: try await trial.concurrentUploadsArrive()
        case .flushedUploadIsHeld: try await trial.flushedUploadIsHeld()
        case .discardCanBeRepeated: try await trial.discardCanBeRepeated()
        case .discardOfUnknownUploadHasNoEffect: try await trial.discardOfUnknownUploadHasNoEffect()
        }
    }
}

extension ByteStoreTrial {
    fileprivate func newUploadIsEmpty() async throws {
        #expect(try await held(of: .sample()) == RunningDigest())
    }

    fileprivate func flushTellsBytesAndDigest() async throws {
        let content = bytes(100_000)
        let upload = Lease.sample()
        try await writing(to: upload) { writer in
            var position = 0
            // Around the 64 bytes of a block of SHA-256, around a page, and beyond.
            for end in [1, 63, 64, 65, 128, 4095, 4096, 4097, 65_536, 99_999, 100_000] {
                try await writer.write([ByteBuffer(bytes: content[position..<end])])
                let durable = try await writer.flush()
                #expect(durable == DurableBytes(RunningDigest(of: content[..<end])))
                #expect(durable.digest.digest == BlobDigest(of: content[..<end]))
                position = end
            }
        }
    }

    fileprivate func flushCanBeRepeated() async throws {
        try await writing(to: .sample()) { writer in
            try await writer.write([ByteBuffer(bytes: bytes(1000))])
            let durable = try await writer.flush()
            #expect(try await writer.flush() == durable)
            #expect(try await writer.flush() == durable)
        }
    }

    fileprivate func digestOfWhatWasTaken() async throws {
        let content = bytes(3000)
        try await writing(to: .sample()) { writer in
            for end in [1000, 2000, 3000] {
                try await writer.write([ByteBuffer(bytes: content[(end - 1000)..<end])])
                #expect(await writer.taken() == RunningDigest(of: content[..<end]))
            }
            #expect(try await writer.flush() == DurableBytes(RunningDigest(of: content)))
            #expect(await writer.taken() == RunningDigest(of: content))
        }
    }

    fileprivate func reopenedUploadGoesOn() async throws {
        let content = bytes(10_000)
        var upload = Lease.sample()
        for (start, end) in [(0, 1), (1, 70), (70, 5000), (5000, 10_000)] {
            upload = try await append(Array(content[start..<end]), to: upload)
            #expect(upload.offset == Int64(end))
            #expect(upload.upload.digest.digest == BlobDigest(of: content[..<end]))
        }
        #expect(try await bytes(of: upload) == content)
    }

    fileprivate func bytesPastTheOffsetGo() async throws {
        let (kept, unacknowledged, other) = (bytes(5000), bytes(3000, seed: 2), bytes(100, seed: 3))
        let upload = try await append(kept, to: .sample())
        // Flushed, but the row was never advanced.
        _ = try await append(unacknowledged, to: upload)
        #expect(try await held(of: upload) == RunningDigest(of: kept))
        let longer = try await append(other, to: upload)
        #expect(longer.offset == 5100)
        #expect(try await bytes(of: longer) == kept + other)
    }

    fileprivate func unflushedBytesGo() async throws {
        let (kept, unflushed) = (bytes(5000), bytes(3000, seed: 2))
        let upload = try await append(kept, to: .sample())
        try await writing(to: upload) { try await $0.write([ByteBuffer(bytes: unflushed)]) }
        #expect(try await held(of: upload) == RunningDigest(of: kept))
        #expect(try await bytes(of: upload) == kept)
    }

    fileprivate func lostBytesFailTheUpload() async throws {
        let upload = try await append(bytes(10), to: .sample())
        let acknowledged = upload.advanced(to: RunningDigest(of: bytes(11)))
        await expectError(.uploadFailed) { _ = try await store.writer(for: acknowledged, expecting: nil) }
        try await store.discard(upload.id)
        await expectError(.uploadFailed) { _ = try await store.writer(for: upload, expecting: nil) }
    }

    fileprivate func emptyBuffersChangeNothing() async throws {
        let content = bytes(10)
        let new = Lease.sample()
        let upload = try await writing(to: new) { writer in
            try await writer.write([])
            try await writer.write([ByteBuffer()])
            #expect(try await writer.flush() == DurableBytes(RunningDigest(of: [])))
            try await writer.write([ByteBuffer(), ByteBuffer(bytes: content), ByteBuffer()])
            try await writer.write([])
            try await writer.publish(as: BlobDigest(of: content))
            return new.advanced(to: try await writer.flush().digest)
        }
        #expect(upload.offset == 10)
        #expect(try await bytes(ofBlobHolding: content) == content)
    }

    fileprivate func onlyReadableBytesAreWritten() async throws {
        let content = bytes(100)
        var buffer = ByteBuffer(bytes: bytes(300, seed: 2))
        buffer.setBytes(content, at: 150)
        buffer.moveReaderIndex(to: 150)
        buffer.moveWriterIndex(to: 250)
        let slice = try #require(buffer.getSlice(at: 200, length: 50))
        try await writing(to: .sample()) { [buffer] writer in
            try await writer.write([buffer, slice])
            let expected = content + content[50...]
            #expect(try await writer.flush() == DurableBytes(RunningDigest(of: expected)))
            try await writer.publish(as: BlobDigest(of: expected))
            #expect(try await bytes(ofBlobHolding: expected) == expected)
        }
    }

    fileprivate func buffersKeepTheirOrder() async throws {
        let content = bytes(1000)
        try await writing(to: .sample()) { writer in
            for start in stride(from: 0, to: 1000, by: 100) {
                let parts = stride(from: start, to: start + 100, by: 10).map { content[$0..<($0 + 10)] }
                try await writer.write(parts.map { ByteBuffer(bytes: $0) })
            }
            try await writer.publish(as: BlobDigest(of: content))
        }
        #expect(try await bytes(ofBlobHolding: content) == content)
    }

    fileprivate func manySmallBuffersArrive() async throws {
        let content = bytes(20_000)
        try await writing(to: .sample()) { writer in
            for start in stride(from: 0, to: content.count, by: 2000) {
                try await writer.write(content[start..<(start + 2000)].map { ByteBuffer(bytes: [$0]) })
            }
            for _ in 0..<500 { try await writer.write([ByteBuffer(bytes: [7])]) }
            #expect(
                try await writer.flush() == DurableBytes(RunningDigest(of: content + [UInt8](repeating: 7, count: 500)))
            )
        }
    }

    fileprivate func largeBuffersArrive() async throws {
        let content = bytes((4 << 20) + 1)
        let digest = BlobDigest(of: content + content)
        try await writing(to: .sample()) { writer in
            for _ in 0..<2 { try await writer.write([ByteBuffer(bytes: content)]) }
            #expect(await writer.taken().digest == digest)
            try await writer.publish(as: digest)
        }
        #expect(try await bytes(of: digest) == content + content)
    }

    fileprivate func expectationIsAHint() async throws {
        let content = bytes(1000)
        for expecting in [nil, 0, 1, 1000, 1_000_000] as [Int64?] {
            try await writing(to: .sample(), expecting: expecting) { writer in
                try await writer.write([ByteBuffer(bytes: content)])
                #expect(try await writer.flush() == DurableBytes(RunningDigest(of: content)))
            }
        }
    }

    fileprivate func impossibleExpectationIsRefused() async throws {
        guard let available = try await store.availableBytes() else { return }
        let content = bytes(1000)
        let upload = try await append(content, to: .sample())
        for expecting in [available + (1 << 40), .max] {
            await expectError("no room", where: \.isInsufficientStorage) {
                _ = try await store.writer(for: upload, expecting: expecting)
            }
        }
        #expect(try await bytes(of: upload) == content)
    }

    fileprivate func uploadsSideBySideAreApart() async throws {
        let (first, second) = (bytes(5000, seed: 1), bytes(5000, seed: 2))
        try await writing(to: .sample()) { firstWriter in
            try await writing(to: .sample()) { secondWriter in
                for start in stride(from: 0, to: 5000, by: 1000) {
                    try await firstWriter.write([ByteBuffer(bytes: first[start..<(start + 1000)])])
                    try await secondWriter.write([ByteBuffer(bytes: second[start..<(start + 1000)])])
                }
                #expect(try await firstWriter.flush() == DurableBytes(RunningDigest(of: first)))
                #expect(try await secondWriter.flush() == DurableBytes(RunningDigest(of: second)))
                try await firstWriter.publish(as: BlobDigest(of: first))
                try await secondWriter.publish(as: BlobDigest(of: second))
            }
        }
        #expect(try await bytes(ofBlobHolding: first) == first)
        #expect(try await bytes(ofBlobHolding: second) == second)
    }

    fileprivate func concurrentUploadsArrive() async throws {
        let results = await concurrently(32) { number in
            // Four uploads of each content at once.
            let content = bytes(100_000, seed: UInt64(number / 4))
            let upload = try await append(Array(content[..<50_000]), to: .sample())
            let whole = try await append(Array(content[50_000...]), to: upload)
            #expect(whole.upload.digest.digest == BlobDigest(of: content))
            #expect(try await bytes(of: whole) == content)
            try await store.discard(whole.id)
            #expect(try await bytes(ofBlobHolding: content) == content)
        }
        for result in results { try result.get() }
        #expect(try await store.heldUploads() == [])
    }

    fileprivate func flushedUploadIsHeld() async throws {
        #expect(try await store.heldUploads() == [])
        let first = try await append(bytes(10), to: .sample())
        let second = try await append(bytes(10), to: .sample())
        let held = try await store.heldUploads()
        #expect(held.count == 2)
        #expect(Set(held) == [first.id, second.id])
        try await store.discard(first.id)
        #expect(try await store.heldUploads() == [second.id])
    }

    fileprivate func discardCanBeRepeated() async throws {
        let (first, second) = (bytes(10), bytes(10, seed: 2))
        let (upload, other) = (try await append(first, to: .sample()), try await append(second, to: .sample()))
        for _ in 0..<3 {
            try await store.discard(upload.id)
            #expect(try await store.heldUploads() == [other.id])
        }
        #expect(try await bytes(of: other) == second)
    }

    fileprivate func discardOfUnknownUploadHasNoEffect() async throws {
        let content = bytes(10)
        let upload = try await append(content, to: .sample())
        try await store.discard(UploadID())
        #expect(try await store.heldUploads() == [upload.id])
        #expect(try await bytes(of: upload) == content)
    }
}
