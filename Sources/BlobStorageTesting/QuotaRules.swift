// The rules of a catalog's quota: what a subject may take up, whatever runs at once.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about what it lets a subject add.
public enum QuotaRule: String, CaseIterable, Sendable {
    /// As much is taken as the quota says, and not a byte more; a refused call changes nothing.
    case quotaIsHeldToTheByte
    /// Bytes that were recorded are paid for: completing, and advancing within their block, cost nothing.
    case whatIsPaidForIsNotRefused
    /// No bytes cost their rows.
    case rowsAreNotFree
    /// Another subject's files leave a quota alone.
    case quotaIsPerSubject
    /// What is deleted makes room at once; with what is held of it, no more than twice the quota is taken.
    case whatIsLetGoOfIsBounded
    /// A dying blob that comes back is let go of no more.
    case revivedBlobIsNotLetGoOf
    /// A lease that is over is told so, however full the quota is.
    case oldLeaseIsToldFirst
    /// Advances at the same time keep the quota together.
    case concurrentAdvancesKeepTheQuota
    /// Completions at the same time keep the quota together.
    case concurrentCompletionsKeepTheQuota
    /// Creates at the same time keep the quota together.
    case concurrentCreatesKeepTheQuota

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .quotaIsHeldToTheByte: try await trial.quotaIsHeldToTheByte()
        case .whatIsPaidForIsNotRefused: try await trial.whatIsPaidForIsNotRefused()
        case .rowsAreNotFree: try await trial.rowsAreNotFree()
        case .quotaIsPerSubject: try await trial.quotaIsPerSubject()
        case .whatIsLetGoOfIsBounded: try await trial.whatIsLetGoOfIsBounded()
        case .revivedBlobIsNotLetGoOf: try await trial.revivedBlobIsNotLetGoOf()
        case .oldLeaseIsToldFirst: try await trial.oldLeaseIsToldFirst()
        case .concurrentAdvancesKeepTheQuota: try await trial.concurrentAdvancesKeepTheQuota()
        case .concurrentCompletionsKeepTheQuota: try await trial.concurrentCompletionsKeepTheQuota()
        case .concurrentCreatesKeepTheQuota: try await trial.concurrentCreatesKeepTheQuota()
        }
    }
}

extension CatalogTrial {
    /// What a text costs that fills some blocks.
    private func charge(_ blocks: Int64) -> Int64 { blocks * 4096 + Charge.rows }

    private func text(_ byteCount: Int) -> String { String(repeating: "x", count: byteCount) }

    private func create(quota: Int64?) async throws -> Upload {
        let upload = Upload(
            id: UploadID(), owner: .ann, name: nil, isTemporary: false, expires: clock.time(in: .seconds(3600)))
        try await catalog.create(upload, openUploadLimit: .max, quota: quota)
        return upload
    }

    fileprivate func quotaIsHeldToTheByte() async throws {
        let lease = try await claimNew()
        let usage = try await catalog.usage(of: .ann)
        await expectError(.quotaUsedUp) { _ = try await advance(lease, to: text(4097), quota: charge(2) - 1) }
        await expectError(.quotaUsedUp) { _ = try await complete(lease, with: text(4097), quota: charge(2) - 1) }
        #expect(try await row(lease) == lease.upload)
        #expect(try await catalog.usage(of: .ann) == usage)
        #expect(try await catalog.blob(BlobDigest(ofText: text(4097))) == nil)
        let advanced = try await advance(lease, to: text(4097), quota: charge(2))
        await expectError(.quotaUsedUp) { _ = try await complete(advanced, with: text(8193), quota: charge(3) - 1) }
        _ = try await complete(advanced, with: text(8193), quota: charge(3))
        #expect(try await catalog.usage(of: .ann).charge == charge(3))
    }

    fileprivate func whatIsPaidForIsNotRefused() async throws {
        let lease = try await advance(try await claimNew(), to: "text")
        // It was less when it was paid for.
        for quota in [Int64(0), 1, charge(1)] {
            let advanced = try await advance(lease, to: "text", quota: quota)
            #expect(advanced == lease)
        }
        let advanced = try await advance(lease, to: text(4096), quota: 0)
        let file = try await complete(advanced, with: text(4096), quota: 0)
        #expect(try await catalog.file(file.id) == file)
    }

    fileprivate func rowsAreNotFree() async throws {
        let quota = 4 * Charge.rows
        for _ in 0..<4 { _ = try await create(quota: quota) }
        await expectError(.quotaUsedUp) { _ = try await create(quota: quota) }
        #expect(try await catalog.usage(of: .ann) == Usage(charge: quota, openUploads: 4))
    }

    fileprivate func quotaIsPerSubject() async throws {
        _ = try await add(text(8192), owner: .bob)
        let lease = try await catalog.lease(of: try await create(quota: charge(1)))
        _ = try await complete(lease, with: "text", quota: charge(1))
        #expect(try await catalog.usage(of: .ann).charge == charge(1))
    }

    fileprivate func whatIsLetGoOfIsBounded() async throws {
        let quota = charge(10)
        let first = try await add(text(9 * 4096 - 1))
        try await catalog.destroyFile(first.id, of: .ann)
        let second = try await complete(
            try await catalog.lease(of: try await create(quota: quota)), with: text(9 * 4096), quota: quota)
        try await catalog.destroyFile(second.id, of: .ann)
        let lease = try await catalog.lease(of: try await create(quota: quota))
        await expectError(.quotaUsedUp) { _ = try await complete(lease, with: text(2 * 4096), quota: quota) }
        #expect(try await catalog.removeBlob(first.digest, dyingFor: .zero))
        _ = try await complete(lease, with: text(2 * 4096), quota: quota)
        let usage = try await catalog.usage(of: .ann)
        #expect(usage == Usage(charge: charge(2), letGo: charge(9) + 3 * Charge.rows))
    }

    fileprivate func revivedBlobIsNotLetGoOf() async throws {
        for _ in 0..<8 {
            let lease = try await catalog.lease(of: try await create(quota: charge(10)))
            let file = try await complete(lease, with: text(9 * 4096), quota: charge(10))
            try await catalog.destroyFile(file.id, of: .ann)
        }
        let usage = try await catalog.usage(of: .ann)
        #expect(usage == Usage(letGo: charge(9) + 8 * Charge.rows))
    }

    fileprivate func oldLeaseIsToldFirst() async throws {
        let old = try await claimNew()
        _ = try await catalog.lease(of: old.upload)
        await expectError(.uploadSuperseded) { _ = try await advance(old, to: "text", quota: 0) }
        await expectError(.uploadSuperseded) { _ = try await complete(old, with: "text", quota: 0) }
    }

    /// Expects that of many changes only those were made that have room.
    private func expectRoom(
        for count: Int, of results: [Result<Void, any Error>], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(results.count(where: \.isSuccess) == count, sourceLocation: sourceLocation)
        for case .failure(let error) in results {
            #expect((error as? BlobError)?.reason == .quotaUsedUp, "\(error)", sourceLocation: sourceLocation)
        }
    }

    /// Makes a change of 24 uploads at once, each of which takes a block, where there is room for five.
    private func expectFiveOfMany(_ change: @escaping @Sendable (Int, Lease, _ quota: Int64) async throws -> Void)
        async throws
    {
        var claimed: [Lease] = []
        for _ in 0..<24 { claimed.append(try await claimNew()) }
        let (leases, quota) = (claimed, 24 * Charge.rows + 5 * 4096)
        expectRoom(for: 5, of: await concurrently(24) { try await change($0, leases[$0], quota) })
        #expect(try await catalog.usage(of: .ann).charge == quota)
    }

    fileprivate func concurrentAdvancesKeepTheQuota() async throws {
        try await expectFiveOfMany { _, lease, quota in _ = try await advance(lease, to: "text", quota: quota) }
    }

    fileprivate func concurrentCompletionsKeepTheQuota() async throws {
        try await expectFiveOfMany { number, lease, quota in
            _ = try await complete(lease, with: "text \(number)", quota: quota)
        }
        #expect(
            try await catalog.statistics()
                == Statistics(
                    openUploads: 19, blobs: 5, files: 5,
                    blobBytes: try await catalog.files(FileQuery()).items.map(\.size).reduce(0, +)))
    }

    fileprivate func concurrentCreatesKeepTheQuota() async throws {
        let results = await concurrently(24) { _ in _ = try await create(quota: 5 * Charge.rows) }
        expectRoom(for: 5, of: results)
        #expect(try await catalog.usage(of: .ann) == Usage(charge: 5 * Charge.rows, openUploads: 5))
    }
}
