// The rules of a catalog's uploads apart from writing to them: create, look, announce, fail, destroy, expire.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about uploads.
public enum UploadRule: String, CaseIterable, Sendable {
    /// A created upload is found as it was given: open and empty.
    case createdUploadIsFound
    /// A name keeps every byte, also where two spellings of a letter count as equal.
    case namesKeepTheirBytes
    /// An upload that was never created is unknown.
    case uncreatedUploadIsUnknown
    /// An upload is unknown to every call from the moment of its expiry on, removed or not.
    case expiredUploadIsUnknown
    /// An upload is found until the moment of its expiry.
    case uploadLivesUntilItsExpiry
    /// A create beyond the limit of open uploads is refused and records nothing.
    case createBeyondTheLimitIsRefused
    /// The limit counts the owner's uploads, not those of others.
    case limitIsPerOwner
    /// A completed, failed, destroyed or removed upload makes room for a new one.
    case limitCountsOpenUploadsOnly
    /// Of many creates at once as many succeed as the limit allows.
    case concurrentCreatesKeepTheLimit
    /// Announcing records the offset that the client is told and nothing else.
    case announcingRecordsTheOffset
    /// Announcing an unknown upload has no effect.
    case announcingUnknownUploadHasNoEffect
    /// A failed upload is found as failed and can be neither claimed nor written.
    case failedUploadIsOver
    /// Failing an unknown or a completed upload has no effect.
    case failingWhatIsNotOpenHasNoEffect
    /// An overtaken writer cannot fail an upload.
    case failingWhatWasClaimedAgainHasNoEffect
    /// A destroyed upload is unknown.
    case destroyedUploadIsUnknown
    /// A failed upload can be destroyed.
    case failedUploadCanBeDestroyed
    /// A completed upload cannot be destroyed.
    case completedUploadCannotBeDestroyed

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .createdUploadIsFound: try await trial.createdUploadIsFound()
        case .namesKeepTheirBytes: try await trial.namesKeepTheirBytes()
        case .uncreatedUploadIsUnknown: try await trial.uncreatedUploadIsUnknown()
        case .expiredUploadIsUnknown: try await trial.expiredUploadIsUnknown()
        case .uploadLivesUntilItsExpiry: try await trial.uploadLivesUntilItsExpiry()
        case .createBeyondTheLimitIsRefused: try await trial.createBeyondTheLimitIsRefused()
        case .limitIsPerOwner: try await trial.limitIsPerOwner()
        case .limitCountsOpenUploadsOnly: try await trial.limitCountsOpenUploadsOnly()
        case .concurrentCreatesKeepTheLimit: try await trial.concurrentCreatesKeepTheLimit()
        case .announcingRecordsTheOffset: try await trial.announcingRecordsTheOffset()
        case .announcingUnknownUploadHasNoEffect: try await trial.announcingUnknownUploadHasNoEffect()
        case .failedUploadIsOver: try await trial.failedUploadIsOver()
        case .failingWhatIsNotOpenHasNoEffect: try await trial.failingWhatIsNotOpenHasNoEffect()
        case .failingWhatWasClaimedAgainHasNoEffect: try await trial.failingWhatWasClaimedAgainHasNoEffect()
        case .destroyedUploadIsUnknown: try await trial.destroyedUploadIsUnknown()
        case .failedUploadCanBeDestroyed: try await trial.failedUploadCanBeDestroyed()
        case .completedUploadCannotBeDestroyed: try await trial.completedUploadCannotBeDestroyed()
        }
    }
}

extension CatalogTrial {
    fileprivate func createdUploadIsFound() async throws {
        let named = try await start("report.pdf", owner: .ann)
        let unnamed = try await start(nil, owner: .bob, isTemporary: true, lifetime: .seconds(7))
        #expect(try await row(named) == named)
        #expect(try await row(unnamed) == unnamed)
        #expect(try await row(unnamed).state == .open)
        #expect(try await row(unnamed).digest == RunningDigest())
    }

    fileprivate func namesKeepTheirBytes() async throws {
        let longest = String(repeating: "a", count: FileName.maximumByteCount)
        for text in ["e\u{301}", "\u{e9}", "تقرير.pdf", "🧾", "o'hara \"x\".txt", "-- \\ %_", longest] {
            let upload = try await start(text)
            let name = try #require(try await row(upload).name)
            #expect(Array(name.text.utf8) == Array(text.utf8))
            let file = try await complete(try await catalog.lease(of: upload), with: text)
            let found = try #require(try await catalog.file(file.id))
            #expect(Array(found.name.text.utf8) == Array(text.utf8))
        }
    }

    fileprivate func uncreatedUploadIsUnknown() async throws {
        _ = try await start()
        let stranger = Upload(
            id: UploadID(), owner: .ann, name: nil, isTemporary: false, expires: clock.time(in: .seconds(60))
        )
        #expect(try await catalog.upload(stranger.id) == nil)
        await expectUnknown(stranger)
    }

    fileprivate func expiredUploadIsUnknown() async throws {
        let lease = try await claimNew(lifetime: .seconds(60))
        clock.advance(by: .seconds(60))
        #expect(try await catalog.upload(lease.id) == nil)
        await expectUnknown(lease)
        _ = try await catalog.removeExpired(limit: 10)
        #expect(try await catalog.upload(lease.id) == nil)
        await expectUnknown(lease)
        #expect(try await catalog.statistics() == Statistics())
    }

    private func expectUnknown(_ lease: Lease, sourceLocation here: SourceLocation = #_sourceLocation) async {
        await expectUnknown(lease.upload, sourceLocation: here)
        await expectError(.uploadUnknown, sourceLocation: here) { _ = try await advance(lease, to: "text") }
        await expectError(.uploadUnknown, sourceLocation: here) { _ = try await complete(lease, with: "text") }
    }

    private func expectUnknown(_ upload: Upload, sourceLocation here: SourceLocation = #_sourceLocation) async {
        await expectError(.uploadUnknown, sourceLocation: here) { _ = try await catalog.lease(of: upload) }
        await expectError(.uploadUnknown, sourceLocation: here) {
            try await catalog.destroy(upload.id, of: upload.owner)
        }
    }

    fileprivate func uploadLivesUntilItsExpiry() async throws {
        let upload = try await start(lifetime: .seconds(60))
        clock.advance(by: .milliseconds(59_875))
        #expect(try await row(upload) == upload)
        #expect(try await catalog.removeExpired(limit: 10).uploads == [])
        #expect(try await row(upload) == upload)
    }

    fileprivate func createBeyondTheLimitIsRefused() async throws {
        for _ in 0..<3 { _ = try await start() }
        let fourth = Upload(
            id: UploadID(), owner: .ann, name: nil, isTemporary: false, expires: clock.time(in: .seconds(60))
        )
        await expectError(.tooManyUploads(open: 3)) { try await catalog.create(fourth, openUploadLimit: 3, quota: nil) }
        #expect(try await catalog.upload(fourth.id) == nil)
        #expect(try await catalog.usage(of: .ann).openUploads == 3)
        try await catalog.create(fourth, openUploadLimit: 4, quota: nil)
        #expect(try await row(fourth) == fourth)
    }

    private func create(owner: Subject, limit: Int) async throws {
        let upload = Upload(
            id: UploadID(), owner: owner, name: nil, isTemporary: false, expires: clock.time(in: .seconds(60))
        )
        try await catalog.create(upload, openUploadLimit: limit, quota: nil)
    }

    fileprivate func limitIsPerOwner() async throws {
        for _ in 0..<3 { _ = try await start(owner: .ann) }
        try await create(owner: .bob, limit: 1)
        await expectError(.tooManyUploads(open: 1)) { try await create(owner: .bob, limit: 1) }
    }

    fileprivate func limitCountsOpenUploadsOnly() async throws {
        let completed = try await start()
        _ = try await complete(try await catalog.lease(of: completed), with: "text")
        try await catalog.fail(try await claimNew())
        try await catalog.destroy(try await start().id, of: .ann)
        _ = try await start(lifetime: .seconds(1))
        clock.advance(by: .seconds(2))
        _ = try await catalog.removeExpired(limit: 10)
        try await create(owner: .ann, limit: 1)
        await expectError(.tooManyUploads(open: 1)) { try await create(owner: .ann, limit: 1) }
    }

    fileprivate func concurrentCreatesKeepTheLimit() async throws {
        let results = await concurrently(32) { _ in try await create(owner: .ann, limit: 5) }
        #expect(results.count(where: \.isSuccess) == 5)
        #expect(try await catalog.usage(of: .ann).openUploads == 5)
    }

    fileprivate func announcingRecordsTheOffset() async throws {
        let upload = try await advance(try await claimNew(), to: "0123456789").upload
        #expect(try await row(upload).announced == 0)
        try await catalog.announce(10, of: upload.id)
        var expected = upload
        expected.announced = 10
        #expect(try await row(upload) == expected)
    }

    fileprivate func announcingUnknownUploadHasNoEffect() async throws {
        let unknown = UploadID()
        try await catalog.announce(10, of: unknown)
        #expect(try await catalog.upload(unknown) == nil)
    }

    fileprivate func failedUploadIsOver() async throws {
        let lease = try await advance(try await claimNew(), to: "text")
        try await catalog.fail(lease)
        #expect(try await row(lease).state == .failed)
        await expectError(.uploadFailed) { _ = try await catalog.lease(of: lease.upload) }
        await expectRefusal { _ = try await advance(lease, to: "text and more") }
        await expectRefusal { _ = try await complete(lease, with: "text") }
        try await catalog.fail(lease)
        #expect(try await row(lease).state == .failed)
        #expect(try await catalog.statistics() == Statistics())
    }

    fileprivate func failingWhatIsNotOpenHasNoEffect() async throws {
        let destroyed = try await claimNew()
        try await catalog.destroy(destroyed.id, of: .ann)
        try await catalog.fail(destroyed)
        #expect(try await catalog.upload(destroyed.id) == nil)
        let lease = try await claimNew()
        let file = try await complete(lease, with: "text")
        try await catalog.fail(lease)
        #expect(try await row(lease).state == .completed(file))
        #expect(try await catalog.file(file.id) == file)
    }

    fileprivate func failingWhatWasClaimedAgainHasNoEffect() async throws {
        let overtaken = try await claimNew()
        let lease = try await catalog.lease(of: overtaken.upload)
        try await catalog.fail(overtaken)
        #expect(try await row(lease) == lease.upload)
        try await catalog.fail(lease)
        #expect(try await row(lease).state == .failed)
    }

    fileprivate func destroyedUploadIsUnknown() async throws {
        let (lease, other) = (try await claimNew(), try await start())
        try await catalog.destroy(lease.id, of: .ann)
        #expect(try await catalog.upload(lease.id) == nil)
        await expectUnknown(lease)
        #expect(try await row(other) == other)
    }

    fileprivate func failedUploadCanBeDestroyed() async throws {
        let lease = try await claimNew()
        try await catalog.fail(lease)
        try await catalog.destroy(lease.id, of: .ann)
        #expect(try await catalog.upload(lease.id) == nil)
    }

    fileprivate func completedUploadCannotBeDestroyed() async throws {
        let lease = try await claimNew()
        let file = try await complete(lease, with: "text")
        await expectError(.uploadUnknown) { try await catalog.destroy(lease.id, of: .ann) }
        #expect(try await row(lease).state == .completed(file))
        #expect(try await catalog.file(file.id) == file)
    }
}
