// Additions of the in-memory models to the contracts: restarts, power loss, and a full store.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import NIOCore
import Testing

@Suite struct InMemoryStoreTests {
    private let clock = ManualClock()

    private func newUpload() -> Upload {
        let expires = clock.time(in: .seconds(60))
        return Upload(id: UploadID(), owner: Subject("ann"), name: nil, isTemporary: false, expires: expires)
    }

    private func content(_ store: InMemoryByteStore, _ text: String) throws -> String {
        guard case .buffer(let buffer) = try store.open(BlobDigest(of: text.utf8)) else { return "not in memory" }
        return String(buffer: buffer)
    }

    @Test func restartedCatalogHasTheRowsAndIsApart() throws {
        let old = InMemoryCatalog(clock: clock)
        let (before, after) = (newUpload(), newUpload())
        try old.create(before, openUploadLimit: 10, quota: nil)
        let new = old.restarted()
        #expect(try new.upload(before.id) == before)
        #expect(try new.secret() == old.secret())
        try old.create(after, openUploadLimit: 10, quota: nil)
        #expect(try new.upload(after.id) == nil)
    }

    @Test(arguments: [true, false])
    func restartLosesUnflushedBytesWhenToldTo(isPowerLoss: Bool) async throws {
        let old = InMemoryByteStore()
        let lease = Lease.sample()
        let writer = try old.writer(for: lease, expecting: nil)
        try await writer.write([ByteBuffer(string: "flushed")])
        #expect(try await writer.flush().digest.count == 7)
        try await writer.write([ByteBuffer(string: ", and not")])
        let new = old.restarted(losingUnflushed: isPowerLoss)
        // More bytes than were acknowledged, so that the difference shows.
        let advanced = lease.advanced(to: RunningDigest(of: "flushed, and not".utf8))
        if isPowerLoss {
            #expect(throws: BlobError.self) { try new.writer(for: advanced, expecting: nil) }
        } else {
            _ = try new.writer(for: advanced, expecting: nil)
        }
        #expect(new.heldUploads() == [lease.id])
    }

    @Test func publishedBlobOutlivesPowerLoss() async throws {
        let old = InMemoryByteStore()
        let writer = try old.writer(for: .sample(), expecting: nil)
        try await writer.write([ByteBuffer(string: "text")])
        try await writer.publish(as: BlobDigest(of: "text".utf8))
        #expect(try content(old.restarted(losingUnflushed: true), "text") == "text")
    }

    @Test func fullStoreKeepsWhatFits() async throws {
        let store = InMemoryByteStore(capacity: 10)
        let upload = Lease.sample()
        #expect(throws: BlobError.self) { try store.writer(for: upload, expecting: 11) }
        let writer = try store.writer(for: upload, expecting: 10)
        let error = await #expect(throws: BlobError.self) {
            try await writer.write([ByteBuffer(string: "12345678"), ByteBuffer(string: "90a")])
        }
        #expect(error?.isInsufficientStorage == true)
        #expect(try await writer.flush().digest.count == 8)
        #expect(store.availableBytes() == 2)
        store.discard(upload.id)
        #expect(store.availableBytes() == 10)
    }

    @Test func clockMovesBothWays() {
        let start = clock.now
        clock.advance(by: .milliseconds(1125))
        #expect(clock.now == start.addingTimeInterval(1.125))
        #expect(clock.time(in: .seconds(-1)) == start.addingTimeInterval(0.125))
        clock.advance(by: .milliseconds(-1125))
        #expect(clock.now == start)
    }
}
