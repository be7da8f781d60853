// Objects that are changed behind the nodes' back: never sent, and put right by an upload of the same bytes.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import NIOCore
import PostgresPool
import S3Client
import Testing

@testable import CloudBackend

@Suite(.timeLimit(.minutes(10))) struct DamageTests {
    /// Two nodes on one schema.
    private static func withNodes(_ body: (TestNode, TestNode) async throws -> Void) async throws {
        try await withStore { store in try await body(TestNode(on: store), TestNode(on: store)) }
    }

    private static func expectCorrupt(_ node: TestNode, _ digest: BlobDigest, range: Range<Int64>? = nil) async {
        let error = await #expect(throws: BlobError.self) { try await node.download(digest, range: range) }
        #expect(error?.reason == .blobCorrupt)
    }

    @Test func aReplacedObjectIsNeverSent() async throws {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("text")
            #expect(try await second.download(digest) == "text")
            try await first.replaceObject(of: digest, with: "TEXT")
            await Self.expectCorrupt(second, digest)
            #expect(try await first.condition(of: digest) == .suspected)
            await Self.expectCorrupt(first, digest)
        }
    }

    /// The bytes sent before it are right; where the change is noticed, the download ends, and the blob is marked.
    @Test(arguments: 0..<3) func aReplacedObjectOfSeveralIsNeverSent(number: Int) async throws {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("one ", "two ", "six ")
            try await first.replaceObject(number, of: digest, with: "SIX ")
            for other in 0..<3 where other != number {
                let start = Int64(4 * other)
                let sent = try await second.download(digest, range: start..<start + 4)
                #expect(sent == ["one ", "two ", "six "][other])
            }
            await Self.expectCorrupt(second, digest)
            #expect(try await first.condition(of: digest) == .suspected)
        }
    }

    enum Known: CaseIterable { case nothing, suspicion, damage }

    /// Decision 10: bytes that were just received and compared are put in the place of those that are there.
    @Test(arguments: Known.allCases) func uploadingAgainHeals(known: Known) async throws {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("text")
            try await first.replaceObject(of: digest, with: "TEXT")
            if known != .nothing { await Self.expectCorrupt(second, digest) }
            if known == .damage {
                let record = try #require(try await first.record(of: digest))
                #expect(try await first.blobs.verify(record, reading: true).isDamage)
                await Self.expectCorrupt(second, digest)
            }
            try await second.upload("text")
            for node in [first, second] {
                #expect(try await node.download(digest) == "text")
                #expect(try await node.condition(of: digest) == .sound)
            }
            try await first.verifier.verifySuspected()
            #expect(try await second.download(digest) == "text")
        }
    }

    /// A node finds damage while another completes the same bytes: those stay, whichever comes first.
    @Test func verifyingBesideUploads() async throws {
        try await Self.withNodes { first, second in
            for round in 0..<8 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<8 {
                        group.addTask {
                            let text = "text \(round) \(number)"
                            let digest = try await first.upload(text)
                            try await first.replaceObject(of: digest, with: text.uppercased())
                            let record = try #require(try await first.record(of: digest))
                            async let verdict = first.blobs.verify(record, reading: true)
                            if number % 2 == 0 { await Self.expectNothingWrong(second, digest, text) }
                            try await second.upload(text)
                            // From the answer on, not only when the other node is through.
                            #expect(try await second.download(digest) == text)
                            _ = try await verdict
                            #expect(try await first.download(digest) == text)
                            #expect(try await first.condition(of: digest) == .sound)
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(try await first.catalog.faults() == [])
        }
    }

    /// A look at bytes says nothing about bytes that came since.
    @Test(arguments: BlobCondition.allCases) func whatIsKnownIsKnownOfOneContent(condition: BlobCondition) async throws
    {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("text")
            let place = try #require(try await first.bytes.place(of: digest))
            try await second.upload("text")
            #expect(try await !first.catalog.setCondition(condition, of: digest, at: place))
            try await first.bytes.quarantine(digest, at: place)
            #expect(try await !first.catalog.setCondition(condition, of: digest, at: nil))
            #expect(try await first.condition(of: digest) == .sound)
            #expect(try await second.download(digest) == "text")

            let now = try #require(try await first.bytes.place(of: digest))
            #expect(try await first.catalog.setCondition(.damaged, of: digest, at: now))
            await Self.expectCorrupt(second, digest)
            #expect(try await first.bytes.place(of: digest) == nil)
            #expect(try await !first.catalog.setCondition(condition, of: digest, at: now))
            #expect(try await first.condition(of: digest) == .damaged)
        }
    }

    /// A download that began when all was well goes on with the bytes that another node put in the place of damaged
    /// ones.
    @Test func aDownloadGoesOnWithFreshBytes() async throws {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("text")
            guard case .remote(let blob) = try await first.blobs.open(digest).content else { return }
            try await first.replaceObject(of: digest, with: "TEXT")
            try await second.upload("text")
            let bytes = try await blob.bytes(of: 0..<4)
            #expect(try await bytes.next() == ByteBuffer(string: "text"))
            #expect(try await first.condition(of: digest) == .sound)
        }
    }

    /// Rows of versions that kept no ETags are as good as before, and better once their objects have been read.
    @Test func objectsOfOlderVersionsGetTheirETagsWhenTheyAreVerified() async throws {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("one ", "two ")
            let eTags = try #require(try await first.bytes.content(of: digest)).pieces.map(\.eTag)
            #expect(eTags.allSatisfy { $0 != nil })
            _ = try await first.bytes.database.pool.query("UPDATE pieces SET etag = NULL")
            #expect(try await second.download(digest) == "one two ")
            #expect(try await second.download(digest, range: 4..<8) == "two ")
            let record = try #require(try await first.record(of: digest))
            #expect(try await first.blobs.verify(record, reading: true) == .sound)
            #expect(try await first.bytes.content(of: digest)?.pieces.map(\.eTag) == eTags)
            #expect(try await second.download(digest) == "one two ")
            try await first.replaceObject(1, of: digest, with: "TWO ")
            await Self.expectCorrupt(second, digest)
        }
    }

    /// Also where no ETag is known, bytes that are more or fewer than the row says are not sent, and are counted.
    @Test(arguments: ["", "tex", "text and more"]) func anObjectOfAnotherSizeIsNeverSent(found: String) async throws {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("text")
            _ = try await first.bytes.database.pool.query("UPDATE pieces SET etag = NULL")
            try await first.replaceObject(of: digest, with: found)
            await Self.expectCorrupt(second, digest)
            #expect(try await first.condition(of: digest) == .suspected)
            let record = try #require(try await first.record(of: digest))
            let measured = MeasuredBytes(size: Int64(found.utf8.count), digest: BlobDigest(of: found.utf8))
            #expect(try await first.blobs.verify(record, reading: true) == .changed(measured))
            await Self.expectCorrupt(second, digest)
            #expect(try await first.condition(of: digest) == .damaged)
        }
    }

    /// An object that came there by another way, as in a bucket that was copied, is as good if its bytes are.
    @Test func anotherObjectOfTheSameBytesIsFoundSound() async throws {
        try await Self.withNodes { first, second in
            let digest = try await first.upload("text")
            let (bucket, content) = (first.bytes.bucket, try #require(try await first.bytes.content(of: digest)))
            // Put together of parts, it has another ETag.
            let upload = try await bucket.createMultipartUpload(content.pieces[0].key)
            let part = try await bucket.uploadPart(upload, number: 1, [ByteBuffer(string: "text")])
            try await bucket.completeMultipartUpload(upload, parts: [part])
            await Self.expectCorrupt(second, digest)
            try await first.verifier.verifySuspected()
            #expect(try await first.condition(of: digest) == .sound)
            #expect(try await second.download(digest) == "text")
        }
    }

    /// Neither in bytes that go through the node nor in those that are copied inside the store.
    @Test(arguments: [10, 6 << 20]) func nothingIsComposedOfReplacedObjects(size: Int) async throws {
        try await Self.withNodes { first, second in
            let part = String(repeating: "x", count: size)
            let (bad, good) = (try await first.upload(part, "bad"), try await first.upload(part, "good"))
            try await first.replaceObject(of: bad, with: part.uppercased())
            _ = try await first.bytes.database.pool.query("UPDATE contents SET created = created - 60001")
            try await first.bytes.composeLargeBlobs()
            #expect(try await first.bytes.content(of: good)?.pieces.count == 1)
            #expect(try await second.download(good) == part + "good")
            #expect(try await first.condition(of: bad) == .suspected)
            await Self.expectCorrupt(second, bad)
            try await first.replaceObject(of: good, with: part + "evil")
            await Self.expectCorrupt(second, good)
        }
    }

    private static func expectNothingWrong(_ node: TestNode, _ digest: BlobDigest, _ text: String) async {
        do {
            #expect(try await node.download(digest) == text)
        } catch {
            #expect((error as? BlobError)?.reason == .blobCorrupt)
        }
    }
}
