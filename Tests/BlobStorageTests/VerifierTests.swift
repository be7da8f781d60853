// Damage is found, kept from clients, and healed by uploading again.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Testing

@Suite(.timeLimit(.minutes(10))) struct VerifierTests {
    private let server = ModelServer()

    private func record(_ digest: BlobDigest) throws -> BlobRecord {
        try #require(try server.catalog.blobRecords(after: nil, limit: 100).first { $0.digest == digest })
    }

    private func verify(_ digest: BlobDigest, reading: Bool = true) async throws -> Verdict {
        try await server.blobs.verify(try record(digest), reading: reading)
    }

    private func expectCorrupt(_ digest: BlobDigest) async {
        let error = await #expect(throws: BlobError.self) { try await server.blobs.open(digest) }
        #expect(error?.reason == .blobCorrupt)
    }

    @Test func soundBlobsStay() async throws {
        let digest = try await server.complete("text").digest
        for reading in [true, false] { #expect(try await verify(digest, reading: reading) == .sound) }
        #expect(try await server.blobs.open(digest).content.size == 4)
    }

    @Test(arguments: ["tex", "TEXT", "", "text and more"])
    func changedBytesAreTakenOutOfService(bytes: String) async throws {
        let digest = try await server.complete("text").digest
        // Remembered with its opened bytes.
        _ = try await server.blobs.open(digest)
        server.bytes.damage(digest, to: Array(bytes.utf8))
        let found = MeasuredBytes(size: Int64(bytes.utf8.count), digest: BlobDigest(of: bytes.utf8))
        #expect(try await verify(digest) == .changed(found))
        #expect(try record(digest).condition == .damaged)
        await expectCorrupt(digest)
        #expect(try await verify(digest) == .missing)
        #expect(try record(digest).condition == .damaged)
    }

    @Test func aQuickLookComparesSizes() async throws {
        let digest = try await server.complete("text").digest
        server.bytes.damage(digest, to: Array("TEXT".utf8))
        #expect(try await verify(digest, reading: false) == .sound)
        server.bytes.damage(digest, to: Array("tex".utf8))
        #expect(try await verify(digest, reading: false).isDamage)
        await expectCorrupt(digest)
    }

    @Test func missingBytesAreDamage() async throws {
        let digest = try await server.complete("text").digest
        server.bytes.remove(digest)
        #expect(try await verify(digest) == .missing)
        await expectCorrupt(digest)
    }

    @Test func uploadingAgainHeals() async throws {
        let digest = try await server.complete("text").digest
        server.bytes.damage(digest, to: [])
        _ = try await verify(digest)
        _ = try await server.complete("text")
        #expect(try await verify(digest) == .sound)
        #expect(try await server.blobs.open(digest).content.size == 4)
    }

    /// The download that meets damage first makes it known.
    @Test func aDownloadOfCutBytesIsAnErrorAndSuspects() async throws {
        let digest = try await server.complete("text").digest
        server.bytes.damage(digest, to: Array("tex".utf8))
        await expectCorrupt(digest)
        #expect(try record(digest).condition == .suspected)
        try await server.verifier.verifySuspected()
        #expect(try record(digest).condition == .damaged)
    }

    /// Its last file went and the same bytes came again, between the looks at its row and at its bytes.
    @Test(arguments: [1, 2])
    func aBlobThatCameAndWentIsServed(misses: Int) async throws {
        let digest = try await server.complete("text").digest
        server.bytes.missBlobs(times: misses)
        #expect(try await server.blobs.open(digest).content.size == 4)
        #expect(try record(digest).condition == .sound)
    }

    @Test func aBlobThatIsMissedThreeTimesIsSuspected() async throws {
        let digest = try await server.complete("text").digest
        server.bytes.missBlobs(times: 3)
        await expectCorrupt(digest)
        #expect(try record(digest).condition == .suspected)
    }

    @Test func suspicionWithoutReasonIsLifted() async throws {
        let digest = try await server.complete("text").digest
        #expect(try server.catalog.setCondition(.suspected, of: digest, at: nil))
        try await server.verifier.verifySuspected()
        #expect(try record(digest).condition == .sound)
    }

    /// Removed between the list and the look.
    @Test func aBlobThatWentIsNotDamaged() async throws {
        let file = try await server.complete("text")
        let record = try record(file.digest)
        try server.catalog.destroyFile(file.id, of: nil)
        server.clock.advance(by: .seconds(60))
        try await server.reclaimer.reclaim()
        #expect(try await server.blobs.verify(record, reading: true) == .gone)
    }

    @Test func aPassFindsAllDamage() async throws {
        var damaged: Set<BlobDigest> = []
        for number in 0..<20 {
            let digest = try await server.complete("text \(number)").digest
            if number.isMultiple(of: 4) {
                server.bytes.damage(digest, to: [UInt8(number)])
                damaged.insert(digest)
            }
        }
        let pass = Task { try await server.verifier.run(every: .milliseconds(1), rate: .max) }
        defer { pass.cancel() }
        while true {
            let found = try server.catalog.blobRecords(after: nil, limit: 100).filter { $0.condition == .damaged }
            if Set(found.map(\.digest)) == damaged { break }
            await Task.yield()
        }
    }
}
