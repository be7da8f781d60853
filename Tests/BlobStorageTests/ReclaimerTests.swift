// Which rows and bytes are reclaimed, when, and which are not.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(10))) struct ReclaimerTests {
    private let server = ModelServer()

    private func reclaimed(
        uploads: Int = 0, files: Int = 0, blobs: Int = 0, orphans: Int = 0
    ) -> Reclaimed {
        var reclaimed = Reclaimed()
        (reclaimed.uploads, reclaimed.files, reclaimed.blobs, reclaimed.orphans) = (uploads, files, blobs, orphans)
        return reclaimed
    }

    private func isHeld(_ digest: BlobDigest) -> Bool { (try? server.bytes.open(digest)) != nil }

    @Test func expiredUploadsAndTemporaryFilesGo() async throws {
        let open = try await server.start()
        try await server.append("open", to: open)
        let id = try await server.start(isTemporary: true)
        let file = try await server.uploads.complete(
            id, of: ModelServer.owner, with: ModelServer.body("gone"), guarded: nil, digest: nil)
        #expect(try await server.reclaimer.reclaim() == Reclaimed())
        server.clock.advance(by: .seconds(61))
        await #expect(throws: BlobError.self) { try await server.blobs.open(file.digest) }
        #expect(try await server.reclaimer.reclaim() == reclaimed(files: 1))
        #expect(isHeld(file.digest), "the blob has a grace of ten seconds")
        server.clock.advance(by: .seconds(11))
        #expect(try await server.reclaimer.reclaim() == reclaimed(blobs: 1))
        #expect(!isHeld(file.digest))
        #expect(try await server.uploads.status(open, of: ModelServer.owner).offset == 4)
        server.clock.advance(by: .seconds(3600))
        #expect(try await server.reclaimer.reclaim() == reclaimed(uploads: 2))
        #expect(server.bytes.heldUploads().isEmpty)
    }

    @Test func moreThanOneTransactionsWorthGoesInOneRound() async throws {
        let server = ModelServer(openUploads: .max)
        for _ in 0..<1001 { _ = try await server.start() }
        server.clock.advance(by: .seconds(3601))
        #expect(try await server.reclaimer.reclaim() == reclaimed(uploads: 1001))
    }

    @Test func uploadsWithoutARowGoAndLiveOnesStay() async throws {
        let orphan = try await server.start()
        try await server.append("orphan", to: orphan)
        try server.catalog.destroy(orphan, of: ModelServer.owner)
        let live = try await server.start()
        try await server.append("live", to: live)
        #expect(try await server.reclaimer.reclaim() == reclaimed(orphans: 1))
        #expect(server.bytes.heldUploads() == [live])
    }

    /// Published, and then the process was killed before the commit.
    @Test func blobsWithoutARowGoAndOthersStay() async throws {
        let id = try await server.start()
        let lease = try await server.catalog.lease(of: try #require(try server.catalog.upload(id)))
        let writer = try server.bytes.writer(for: lease, expecting: nil)
        try await writer.write([ByteBuffer(string: "orphan")])
        let orphan = await writer.taken().digest
        try await writer.publish(as: orphan)
        server.bytes.discard(id)
        let live = try await server.complete("live").digest
        let dying = try await server.complete("dying")
        try server.catalog.destroyFile(dying.id, of: nil)

        #expect(try await server.reclaimer.reclaim() == reclaimed(orphans: 1))
        #expect(!isHeld(orphan))
        #expect(isHeld(live) && isHeld(dying.digest))
        #expect(try await server.reclaimer.reclaim() == Reclaimed())
    }

    @Test func aRevivedBlobStays() async throws {
        let first = try await server.complete("text")
        try server.catalog.destroyFile(first.id, of: nil)
        server.clock.advance(by: .seconds(11))
        _ = try await server.complete("text")
        #expect(try await server.reclaimer.reclaim() == Reclaimed())
        #expect(isHeld(first.digest))
    }

    /// The same bytes are completed, removed and reclaimed at the same time, again and again, with no grace at all: a
    /// completion that was acknowledged can be downloaded until its own file is removed.
    @Test func completionsAndReclaimingOfOneDigestAgree() async throws {
        let server = ModelServer(openUploads: 100, grace: .zero)
        let files = FileService(catalog: server.catalog, blobs: server.blobs)
        let owner = Caller(subject: ModelServer.owner, scopes: [.delete])
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // Not without a pause: others need the threads too.
                while !Task.isCancelled {
                    _ = try? await server.reclaimer.reclaim()
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
            await withTaskGroup(of: Void.self) { clients in
                for _ in 0..<8 {
                    clients.addTask {
                        for _ in 0..<200 {
                            do {
                                let file = try await server.complete("the same")
                                _ = try await server.blobs.open(file.digest)
                                try await files.destroy(file.id, for: owner)
                            } catch {
                                Issue.record(error)
                            }
                        }
                    }
                }
            }
            group.cancelAll()
        }
    }
}
