// The rules of a catalog's one commit point: how an upload becomes a file.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about completing uploads.
public enum CompletionRule: String, CaseIterable, Sendable {
    /// Completing records a file: the upload's name and owner, the blob's digest and size, created now.
    case completeRecordsTheFile
    /// Completing makes the blob live.
    case completeMakesTheBlobLive
    /// A file whose uploader gave no name is named by its digest.
    case unnamedFileIsNamedByItsDigest
    /// A temporary upload becomes a temporary file that expires when it was told to.
    case temporaryUploadBecomesTemporaryFile
    /// Zero bytes are a blob.
    case zeroBytesAreABlob
    /// Bytes that arrived with the completion, past the last advance, belong to the file.
    case completeTakesBytesPastTheOffset
    /// A completed upload tells its file, by look-up and by claim, until it expires and not longer.
    case completedUploadTellsItsFileUntilItExpires
    /// A completed upload goes on telling its file after the file was destroyed.
    case completedUploadTellsItsFileAfterItWasDestroyed
    /// A completed upload goes on telling its file after the file expired.
    case completedUploadTellsItsFileAfterItExpired
    /// A completion by an old claim is refused and records nothing.
    case oldClaimCannotComplete
    /// A completion from an offset that has moved is refused and records nothing.
    case completeComparesTheOffset
    /// An upload completes once; another try is refused and records nothing.
    case completeHappensOnce
    /// Of many completions of one claim at the same time exactly one succeeds.
    case concurrentCompletesOfOneClaimHaveOneWinner
    /// An advance and a completion of one claim at the same time: exactly one succeeds.
    case concurrentAdvanceAndCompleteHaveOneWinner
    /// Files get growing identities, also within one moment and when the clock goes back.
    case fileIdentitiesGrow
    /// The identity of a destroyed file is not given away again.
    case fileIdentitiesAreNotReused
    /// Uploads that complete at the same time become files with different identities.
    case concurrentCompletesGetDifferentIdentities
    /// Uploads of the same bytes become different files that share one blob.
    case sameBytesShareOneBlob

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .completeRecordsTheFile: try await trial.completeRecordsTheFile()
        case .completeMakesTheBlobLive: try await trial.completeMakesTheBlobLive()
        case .unnamedFileIsNamedByItsDigest: try await trial.unnamedFileIsNamedByItsDigest()
        case .temporaryUploadBecomesTemporaryFile: try await trial.temporaryUploadBecomesTemporaryFile()
        case .zeroBytesAreABlob: try await trial.zeroBytesAreABlob()
        case .completeTakesBytesPastTheOffset: try await trial.completeTakesBytesPastTheOffset()
        case .completedUploadTellsItsFileUntilItExpires: try await trial.completedUploadTellsItsFileUntilItExpires()
        case .completedUploadTellsItsFileAfterItWasDestroyed: try await trial.tellsItsFileAfterItWasDestroyed()
        case .completedUploadTellsItsFileAfterItExpired: try await trial.tellsItsFileAfterItExpired()
        case .oldClaimCannotComplete: try await trial.oldClaimCannotComplete()
        case .completeComparesTheOffset: try await trial.completeComparesTheOffset()
        case .completeHappensOnce: try await trial.completeHappensOnce()
        case .concurrentCompletesOfOneClaimHaveOneWinner: try await trial.concurrentCompletesHaveOneWinner()
        case .concurrentAdvanceAndCompleteHaveOneWinner: try await trial.concurrentAdvanceAndCompleteHaveOneWinner()
        case .fileIdentitiesGrow: try await trial.fileIdentitiesGrow()
        case .fileIdentitiesAreNotReused: try await trial.fileIdentitiesAreNotReused()
        case .concurrentCompletesGetDifferentIdentities: try await trial.concurrentCompletesGetDifferentIdentities()
        case .sameBytesShareOneBlob: try await trial.sameBytesShareOneBlob()
        }
    }
}

extension CatalogTrial {
    fileprivate func completeRecordsTheFile() async throws {
        let lease = try await claimNew("report.pdf", path: "2026/may/تقرير.pdf")
        clock.advance(by: .milliseconds(125))
        let file = try await complete(lease, with: "text")
        let expected = File(
            id: file.id, digest: BlobDigest(ofText: "text"), owner: .ann, name: FileName(trusted: "report.pdf"),
            size: 4, path: RelativePath(trusted: "2026/may/تقرير.pdf"), created: clock.now,
            expires: nil
        )
        #expect(file == expected)
        // A lost answer is repeated from the lease's row.
        #expect(try await row(lease).state == .completed(expected))
        #expect(try await catalog.file(file.id) == expected)
        #expect(try await catalog.files(FileQuery()) == FilePage(count: 1, items: [expected]))
    }

    fileprivate func completeMakesTheBlobLive() async throws {
        let digest = BlobDigest(ofText: "text")
        let lease = try await advance(try await claimNew(), to: "text")
        #expect(try await catalog.blob(digest) == nil)
        let file = try await complete(lease, with: "text")
        #expect(try await catalog.blob(digest) == Blob(digest: digest, size: 4, name: file.name, expires: nil))
        #expect(try await catalog.dyingBlobs(for: .zero, limit: 10) == [])
    }

    fileprivate func unnamedFileIsNamedByItsDigest() async throws {
        let file = try await complete(try await claimNew(nil), with: "text")
        #expect(file.name == FileName(BlobDigest(ofText: "text")))
        #expect(try await catalog.file(file.id) == file)
    }

    fileprivate func temporaryUploadBecomesTemporaryFile() async throws {
        let file = try await complete(try await claimNew(isTemporary: true), with: "text", lifetime: .seconds(60))
        #expect(file.isTemporary)
        #expect(file.expires == clock.time(in: .seconds(60)))
        #expect(try await catalog.file(file.id) == file)
    }

    fileprivate func zeroBytesAreABlob() async throws {
        let file = try await complete(try await claimNew(), with: "")
        let digest = BlobDigest(ofText: "")
        #expect(file.digest == digest)
        #expect(try await catalog.blob(digest) == Blob(digest: digest, size: 0, name: file.name, expires: nil))
        #expect(try await catalog.statistics() == Statistics(blobs: 1, files: 1))
    }

    fileprivate func completeTakesBytesPastTheOffset() async throws {
        let lease = try await advance(try await claimNew(), to: "text")
        let file = try await complete(lease, with: "text and more")
        #expect(file.size == 13)
        #expect(file.digest == BlobDigest(ofText: "text and more"))
        #expect(try await catalog.blob(file.digest)?.size == 13)
    }

    private func expectToTell(
        _ file: File, _ lease: Lease, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await catalog.upload(lease.id)?.state == .completed(file), sourceLocation: sourceLocation)
        #expect(try await catalog.claim(lease.id, of: .ann) == .completed(file), sourceLocation: sourceLocation)
    }

    fileprivate func completedUploadTellsItsFileUntilItExpires() async throws {
        let lease = try await claimNew(lifetime: .seconds(60))
        let file = try await complete(lease, with: "text")
        try await expectToTell(file, lease)
        // Completing puts the expiry off to an hour from then.
        clock.advance(by: .seconds(3599))
        #expect(try await catalog.removeExpired(limit: 10).uploads == [])
        try await expectToTell(file, lease)
        clock.advance(by: .seconds(1))
        #expect(try await catalog.upload(lease.id) == nil)
        await expectError(.uploadUnknown) { _ = try await catalog.lease(of: lease.upload) }
        #expect(try await catalog.removeExpired(limit: 10).uploads == [lease.id])
        #expect(try await catalog.file(file.id) == file)
    }

    fileprivate func tellsItsFileAfterItWasDestroyed() async throws {
        let lease = try await claimNew()
        let file = try await complete(lease, with: "text")
        try await catalog.destroyFile(file.id, of: .ann)
        try await expectToTell(file, lease)
        #expect(try await catalog.removeBlob(file.digest, dyingFor: .zero))
        try await expectToTell(file, lease)
    }

    fileprivate func tellsItsFileAfterItExpired() async throws {
        let lease = try await claimNew(isTemporary: true)
        let file = try await complete(lease, with: "text", lifetime: .seconds(60))
        clock.advance(by: .seconds(60))
        try await expectToTell(file, lease)
        #expect(try await catalog.removeExpired(limit: 10).uploads == [])
        try await expectToTell(file, lease)
    }

    /// Expects that nothing was completed.
    private func expectNoFile(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        #expect(try await catalog.files(FileQuery()) == FilePage(count: 0, items: []), sourceLocation: sourceLocation)
        #expect(try await catalog.blob(BlobDigest(ofText: "text")) == nil, sourceLocation: sourceLocation)
        #expect(try await catalog.statistics() == Statistics(openUploads: 1), sourceLocation: sourceLocation)
    }

    fileprivate func oldClaimCannotComplete() async throws {
        let old = try await claimNew()
        let new = try await catalog.lease(of: old.upload)
        await expectError(.uploadSuperseded) { _ = try await complete(old, with: "text") }
        #expect(try await row(old) == new.upload)
        try await expectNoFile()
        _ = try await complete(new, with: "text")
    }

    fileprivate func completeComparesTheOffset() async throws {
        let claimed = try await claimNew()
        let advanced = try await advance(claimed, to: "te")
        await expectError(.uploadSuperseded) { _ = try await complete(claimed, with: "text") }
        #expect(try await row(claimed) == advanced.upload)
        try await expectNoFile()
        _ = try await complete(advanced, with: "text")
    }

    fileprivate func completeHappensOnce() async throws {
        let lease = try await claimNew()
        let file = try await complete(lease, with: "text")
        let completed = try await row(lease)
        await expectRefusal { _ = try await complete(lease, with: "text") }
        #expect(try await row(lease) == completed)
        #expect(try await catalog.files(FileQuery()) == FilePage(count: 1, items: [file]))
    }

    fileprivate func concurrentCompletesHaveOneWinner() async throws {
        let lease = try await claimNew()
        let results = await concurrently(32) { number in try await complete(lease, with: "text \(number)") }
        let winners = results.compactMap { try? $0.get() }
        #expect(winners.count == 1)
        #expect(try await catalog.files(FileQuery()).items == winners)
        #expect(try await row(lease).state == winners.first.map(Upload.State.completed))
        #expect(try await catalog.statistics().blobs == 1)
    }

    fileprivate func concurrentAdvanceAndCompleteHaveOneWinner() async throws {
        for _ in 0..<8 {
            let lease = try await claimNew()
            let results = await concurrently(2) { number in
                if number == 0 {
                    _ = try await advance(lease, to: "te")
                } else {
                    _ = try await complete(lease, with: "text")
                }
            }
            #expect(results.count(where: \.isSuccess) == 1)
        }
    }

    fileprivate func fileIdentitiesGrow() async throws {
        var files: [File] = []
        for step in [Duration.zero, .zero, .milliseconds(125), .seconds(-3600), .zero, .seconds(7200)] {
            clock.advance(by: step)
            let file = try await add("text \(files.count)")
            #expect(file.created == clock.now)
            if let last = files.last { #expect(file.id > last.id) }
            files.append(file)
        }
    }

    fileprivate func fileIdentitiesAreNotReused() async throws {
        let first = try await add("text")
        try await catalog.destroyFile(first.id, of: .ann)
        #expect(try await catalog.removeBlob(first.digest, dyingFor: .zero))
        let second = try await add("text")
        #expect(second.id > first.id)
        #expect(try await catalog.file(first.id) == nil)
    }

    fileprivate func concurrentCompletesGetDifferentIdentities() async throws {
        let results = await concurrently(64) { number in try await add("text \(number % 8)") }
        let files = try results.map { try $0.get() }
        #expect(Set(files.map(\.id)).count == 64)
        #expect(try await catalog.statistics() == Statistics(blobs: 8, files: 64, blobBytes: 8 * 6))
    }

    fileprivate func sameBytesShareOneBlob() async throws {
        let first = try await add("text", named: "first", owner: .ann)
        let second = try await add("text", named: "second", owner: .bob)
        #expect(first.digest == second.digest)
        #expect(first.id != second.id)
        #expect(try await catalog.file(first.id) == first)
        #expect(try await catalog.file(second.id) == second)
        #expect(try await catalog.statistics() == Statistics(blobs: 1, files: 2, blobBytes: 4))
    }
}
