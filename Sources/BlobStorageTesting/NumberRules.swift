// The rules of a catalog's numbers: exact after every change.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about usage and statistics.
public enum NumberRule: String, CaseIterable, Sendable {
    /// An empty catalog counts nothing, and a subject without anything uses nothing.
    case emptyCatalogCountsNothing
    /// Usage follows an upload's life: started, advanced, completed, its file destroyed.
    case usageFollowsAnUpload
    /// A destroyed upload uses nothing, and a failed one is let go of until it is removed.
    case endedUploadUsesNothing
    /// A refused call changes no number.
    case refusedCallChangesNothing
    /// A shared blob counts for each of its files in usage, and once in statistics and among what was let go of.
    case sharedBlobCountsForEachFile
    /// Each subject's usage is their own.
    case usageIsPerSubject
    /// Expired rows count until they are removed: they still take up space.
    case expiredRowsCountUntilRemoved
    /// A dying blob counts until it is removed.
    case dyingBlobCountsUntilRemoved
    /// Numbers beyond 32 bits are exact.
    case largeNumbersAreExact
    /// After many changes at the same time the numbers are exact.
    case concurrentChangesAreCounted

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .emptyCatalogCountsNothing: try await trial.emptyCatalogCountsNothing()
        case .usageFollowsAnUpload: try await trial.usageFollowsAnUpload()
        case .endedUploadUsesNothing: try await trial.endedUploadUsesNothing()
        case .refusedCallChangesNothing: try await trial.refusedCallChangesNothing()
        case .sharedBlobCountsForEachFile: try await trial.sharedBlobCountsForEachFile()
        case .usageIsPerSubject: try await trial.usageIsPerSubject()
        case .expiredRowsCountUntilRemoved: try await trial.expiredRowsCountUntilRemoved()
        case .dyingBlobCountsUntilRemoved: try await trial.dyingBlobCountsUntilRemoved()
        case .largeNumbersAreExact: try await trial.largeNumbersAreExact()
        case .concurrentChangesAreCounted: try await trial.concurrentChangesAreCounted()
        }
    }
}

extension CatalogTrial {
    /// Expects the numbers of the catalog, and of its subject Ann.
    private func expect(
        _ usage: Usage, _ statistics: Statistics, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await catalog.usage(of: .ann) == usage, sourceLocation: sourceLocation)
        #expect(try await catalog.statistics() == statistics, sourceLocation: sourceLocation)
    }

    fileprivate func emptyCatalogCountsNothing() async throws {
        try await expect(Usage(), Statistics())
    }

    /// What texts that fill no more than one block cost.
    private func charge(_ texts: Int64 = 0, empty: Int64 = 0) -> Int64 {
        texts * Charge.of(1) + empty * Charge.rows
    }

    fileprivate func usageFollowsAnUpload() async throws {
        let upload = try await start(lifetime: .seconds(60))
        try await expect(Usage(charge: charge(empty: 1), openUploads: 1), Statistics(openUploads: 1))
        var lease = try await catalog.lease(of: upload)
        lease = try await advance(lease, to: "01234")
        try await expect(Usage(charge: charge(1), openUploads: 1), Statistics(openUploads: 1))
        let long = String(repeating: "x", count: 4097)
        lease = try await advance(lease, to: "0123456789" + long)
        try await expect(Usage(charge: 2 * 4096 + 512, openUploads: 1), Statistics(openUploads: 1))
        let file = try await complete(lease, with: "0123456789" + long + long)
        let size = file.size
        try await expect(
            Usage(charge: 3 * 4096 + 512, letGo: Charge.rows), Statistics(blobs: 1, files: 1, blobBytes: size))
        try await catalog.destroyFile(file.id, of: .ann)
        try await expect(
            Usage(letGo: 3 * 4096 + 512 + Charge.rows), Statistics(blobs: 1, files: 0, blobBytes: size))
        #expect(try await catalog.removeBlob(file.digest, dyingFor: .zero))
        try await expect(Usage(letGo: Charge.rows), Statistics())
        clock.advance(by: .seconds(3600))
        #expect(try await catalog.removeExpired(limit: 10).uploads == [upload.id])
        try await expect(Usage(), Statistics())
    }

    fileprivate func endedUploadUsesNothing() async throws {
        let destroyed = try await advance(try await claimNew(), to: "text")
        try await catalog.destroy(destroyed.id, of: .ann)
        try await expect(Usage(), Statistics())
        let failed = try await advance(try await claimNew(), to: "text")
        for _ in 0..<2 {
            try await catalog.fail(failed)
            try await expect(Usage(letGo: charge(1)), Statistics())
        }
        try await catalog.destroy(failed.id, of: .ann)
        try await expect(Usage(), Statistics())
    }

    fileprivate func refusedCallChangesNothing() async throws {
        let old = try await claimNew()
        let lease = try await advance(try await catalog.lease(of: old.upload), to: "text")
        let (usage, statistics) = (Usage(charge: charge(1), openUploads: 1), Statistics(openUploads: 1))
        try await expect(usage, statistics)
        await expectRefusal { _ = try await advance(old, to: "another text") }
        await expectRefusal { _ = try await complete(old, with: "another text") }
        await expectError(.fileUnknown) { try await catalog.destroyFile(FileID(at: clock.now, after: nil), of: nil) }
        await expectError(.tooManyUploads(open: 1)) {
            try await catalog.create(lease.upload, openUploadLimit: 1, quota: nil)
        }
        try await expect(usage, statistics)
    }

    fileprivate func sharedBlobCountsForEachFile() async throws {
        let first = try await add("text")
        let second = try await add("text")
        let rows = 2 * Charge.rows
        try await expect(Usage(charge: charge(2), letGo: rows), Statistics(blobs: 1, files: 2, blobBytes: 4))
        try await catalog.destroyFile(first.id, of: .ann)
        try await expect(Usage(charge: charge(1), letGo: rows), Statistics(blobs: 1, files: 1, blobBytes: 4))
        try await catalog.destroyFile(second.id, of: .ann)
        try await expect(Usage(letGo: charge(1) + rows), Statistics(blobs: 1, blobBytes: 4))
        // Of two owners, the one pays whose file was the last; and nobody pays any more when it is there again.
        let third = try await add("text", owner: .bob)
        try await expect(Usage(letGo: rows), Statistics(blobs: 1, files: 1, blobBytes: 4))
        try await catalog.destroyFile(third.id, of: nil)
        try await expect(Usage(letGo: rows), Statistics(blobs: 1, blobBytes: 4))
        #expect(try await catalog.usage(of: .bob) == Usage(letGo: charge(1) + Charge.rows))
    }

    fileprivate func usageIsPerSubject() async throws {
        _ = try await add("text", owner: .bob)
        let upload = try await claimNew(owner: .bob)
        _ = try await advance(upload, to: "more text")
        try await expect(Usage(), Statistics(openUploads: 1, blobs: 1, files: 1, blobBytes: 4))
        #expect(try await catalog.usage(of: .bob) == Usage(charge: charge(2), letGo: Charge.rows, openUploads: 1))
    }

    fileprivate func expiredRowsCountUntilRemoved() async throws {
        _ = try await add("text", lifetime: .seconds(60))
        _ = try await claimNew(lifetime: .seconds(60))
        clock.advance(by: .seconds(60))
        try await expect(
            Usage(charge: charge(1, empty: 1), letGo: Charge.rows, openUploads: 1),
            Statistics(openUploads: 1, blobs: 1, files: 1, blobBytes: 4)
        )
        _ = try await catalog.removeExpired(limit: 10)
        try await expect(Usage(letGo: charge(1) + Charge.rows), Statistics(blobs: 1, blobBytes: 4))
    }

    fileprivate func dyingBlobCountsUntilRemoved() async throws {
        let file = try await add("text")
        try await catalog.destroyFile(file.id, of: .ann)
        clock.advance(by: .seconds(3600))
        // The completed upload's row is due at the same time.
        _ = try await catalog.removeExpired(limit: 10)
        try await expect(Usage(letGo: charge(1)), Statistics(blobs: 1, blobBytes: 4))
        #expect(try await catalog.removeBlob(file.digest, dyingFor: .seconds(60)))
        try await expect(Usage(), Statistics())
    }

    fileprivate func largeNumbersAreExact() async throws {
        let size: Int64 = 1 << 50 + 1
        let lease = try await claimNew()
        // The state of a digest: eight words, the number of bytes, and the one byte past the last whole block.
        let state = [UInt8](repeating: 7, count: 32) + withUnsafeBytes(of: size.bigEndian, Array.init) + [7]
        let digest = try #require(RunningDigest(encoded: state))
        let advanced = try await catalog.advance(
            lease, to: digest, expires: clock.time(in: .seconds(60)), announcing: true, quota: nil
        )
        #expect((advanced.offset, advanced.upload.announced) == (size, size))
        #expect(try await row(lease) == advanced.upload)
        try await expect(Usage(charge: Charge.of(size), openUploads: 1), Statistics(openUploads: 1))
        let file = try await catalog.complete(
            advanced, with: digest, expires: clock.time(in: .seconds(60)), fileExpires: nil, quota: nil
        )
        #expect(try await catalog.file(file.id)?.size == size)
        try await expect(
            Usage(charge: Charge.of(size), letGo: Charge.rows), Statistics(blobs: 1, files: 1, blobBytes: size))
    }

    fileprivate func concurrentChangesAreCounted() async throws {
        let results = await concurrently(48) { number in
            switch number % 3 {
            case 0: _ = try await add("text \(number)")
            case 1: _ = try await advance(try await claimNew(), to: "text")
            default: try await catalog.destroyFile(try await add("more text \(number)").id, of: .ann)
            }
        }
        for result in results { try result.get() }
        let (usage, statistics) = (try await catalog.usage(of: .ann), try await catalog.statistics())
        let files = try await catalog.files(FileQuery()).items
        #expect(files.count == 16)
        let letGo = 32 * Charge.rows + charge(16)
        #expect(usage == Usage(charge: charge(16 + 16), letGo: letGo, openUploads: 16))
        #expect((statistics.openUploads, statistics.blobs, statistics.files) == (16, 32, 16))
    }
}
