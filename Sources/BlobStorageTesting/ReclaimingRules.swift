// The rules of letting go: expired rows, and blobs that no file points at.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about removing what nobody needs any more.
public enum ReclaimingRule: String, CaseIterable, Sendable {
    /// Expired uploads are removed, whatever their state, and returned once; the others stay.
    case expiredUploadsAreRemovedOnce
    /// No more uploads and no more files are removed in one call than the limit allows.
    case removalKeepsItsLimit
    /// The blob of an expired file begins to die when the file is removed, not before.
    case blobOfRemovedFileBeginsToDie
    /// A blob without files is listed as dying when the grace has passed, and not before.
    case dyingBlobIsListedAfterItsGrace
    /// No more dying blobs are listed than the limit allows.
    case dyingListKeepsItsLimit
    /// Removing a blob checks the grace again, and succeeds once.
    case blobIsRemovedAfterItsGraceAndOnce
    /// A live or unknown blob is not removed.
    case liveBlobIsNotRemoved
    /// A digest is unknown when it has no row, neither of a live blob nor of a dying one.
    case unknownBlobsAreThoseWithoutARow
    /// Completing an upload of the same bytes revives a dying blob.
    case completingRevivesADyingBlob
    /// A revived blob that dies again has its whole grace anew.
    case revivedBlobHasItsGraceAnew
    /// A blob's grace begins with its last file, not with an earlier one.
    case graceBeginsWithTheLastFile
    /// A removed blob can be uploaded again.
    case removedBlobCanComeBack
    /// Of many calls that remove a blob at the same time, exactly one succeeds.
    case concurrentRemovalsHaveOneWinner
    /// A blob that is completed and removed at the same time ends as one of the two, with its file.
    case concurrentRemovalAndRevivalAgree

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .expiredUploadsAreRemovedOnce: try await trial.expiredUploadsAreRemovedOnce()
        case .removalKeepsItsLimit: try await trial.removalKeepsItsLimit()
        case .blobOfRemovedFileBeginsToDie: try await trial.blobOfRemovedFileBeginsToDie()
        case .dyingBlobIsListedAfterItsGrace: try await trial.dyingBlobIsListedAfterItsGrace()
        case .dyingListKeepsItsLimit: try await trial.dyingListKeepsItsLimit()
        case .blobIsRemovedAfterItsGraceAndOnce: try await trial.blobIsRemovedAfterItsGraceAndOnce()
        case .liveBlobIsNotRemoved: try await trial.liveBlobIsNotRemoved()
        case .unknownBlobsAreThoseWithoutARow: try await trial.unknownBlobsAreThoseWithoutARow()
        case .completingRevivesADyingBlob: try await trial.completingRevivesADyingBlob()
        case .revivedBlobHasItsGraceAnew: try await trial.revivedBlobHasItsGraceAnew()
        case .graceBeginsWithTheLastFile: try await trial.graceBeginsWithTheLastFile()
        case .removedBlobCanComeBack: try await trial.removedBlobCanComeBack()
        case .concurrentRemovalsHaveOneWinner: try await trial.concurrentRemovalsHaveOneWinner()
        case .concurrentRemovalAndRevivalAgree: try await trial.concurrentRemovalAndRevivalAgree()
        }
    }
}

extension CatalogTrial {
    /// A grace of half a minute.
    private var grace: Duration { .seconds(30) }

    /// Adds a file and destroys it.
    private func addDying(_ text: String) async throws -> BlobDigest {
        let file = try await add(text)
        try await catalog.destroyFile(file.id, of: .ann)
        return file.digest
    }

    private func dying(limit: Int = 100) async throws -> [BlobDigest] {
        try await catalog.dyingBlobs(for: grace, limit: limit)
    }

    fileprivate func expiredUploadsAreRemovedOnce() async throws {
        let open = try await start(lifetime: .seconds(3600))
        let failed = try await claimNew()
        try await catalog.fail(failed)
        let completed = try await claimNew()
        let file = try await complete(completed, with: "text")
        let kept = try await start(lifetime: .seconds(3601))
        clock.advance(by: .seconds(3600))
        let removed = try await catalog.removeExpired(limit: 10).uploads
        #expect(removed.count == 3)
        #expect(removed == [open.id, failed.id, completed.id])
        #expect(try await catalog.removeExpired(limit: 10).uploads == [])
        #expect(try await row(kept) == kept)
        #expect(try await catalog.file(file.id) == file)
    }

    fileprivate func removalKeepsItsLimit() async throws {
        for number in 0..<5 {
            _ = try await add("text \(number)", lifetime: .seconds(60))
            _ = try await start(lifetime: .seconds(60))
        }
        clock.advance(by: .seconds(60))
        var removed: Set<UploadID> = []
        for left in [3, 1, 0] {
            let batch = try await catalog.removeExpired(limit: 2)
            #expect(batch.uploads.count == min(2, 5 - removed.count))
            #expect(batch.fileCount == batch.uploads.count)
            removed.formUnion(batch.uploads)
            #expect(try await catalog.statistics().files == Int64(left))
        }
        #expect(removed.count == 5)
    }

    fileprivate func blobOfRemovedFileBeginsToDie() async throws {
        let file = try await add("text", lifetime: .seconds(60))
        clock.advance(by: .seconds(600))
        #expect(try await catalog.dyingBlobs(for: .zero, limit: 10) == [])
        #expect(try await catalog.removeBlob(file.digest, dyingFor: .zero) == false)
        _ = try await catalog.removeExpired(limit: 10)
        #expect(try await catalog.dyingBlobs(for: .zero, limit: 10) == [file.digest])
        #expect(try await dying() == [])
        clock.advance(by: grace)
        #expect(try await dying() == [file.digest])
    }

    fileprivate func dyingBlobIsListedAfterItsGrace() async throws {
        let digest = try await addDying("text")
        #expect(try await catalog.dyingBlobs(for: .zero, limit: 10) == [digest])
        #expect(try await catalog.blob(digest) == nil)
        clock.advance(by: .milliseconds(29_875))
        #expect(try await dying() == [])
        clock.advance(by: .milliseconds(125))
        #expect(try await dying() == [digest])
    }

    fileprivate func dyingListKeepsItsLimit() async throws {
        var digests: Set<BlobDigest> = []
        for number in 0..<5 { digests.insert(try await addDying("text \(number)")) }
        clock.advance(by: grace)
        let some = try await dying(limit: 3)
        #expect(Set(some).count == 3)
        #expect(digests.isSuperset(of: some))
        #expect(Set(try await dying()) == digests)
    }

    fileprivate func blobIsRemovedAfterItsGraceAndOnce() async throws {
        let digest = try await addDying("text")
        clock.advance(by: .milliseconds(29_875))
        #expect(try await catalog.removeBlob(digest, dyingFor: grace) == false)
        #expect(try await catalog.statistics().blobs == 1)
        clock.advance(by: .milliseconds(125))
        #expect(try await catalog.removeBlob(digest, dyingFor: grace))
        #expect(try await catalog.removeBlob(digest, dyingFor: grace) == false)
        #expect(try await dying() == [])
        #expect(try await catalog.statistics() == Statistics())
    }

    fileprivate func liveBlobIsNotRemoved() async throws {
        let file = try await add("text")
        clock.advance(by: .seconds(3600))
        #expect(try await dying() == [])
        #expect(try await catalog.removeBlob(file.digest, dyingFor: .zero) == false)
        #expect(try await catalog.blob(file.digest)?.size == 4)
        #expect(try await catalog.removeBlob(BlobDigest(ofText: "unknown"), dyingFor: .zero) == false)
    }

    fileprivate func unknownBlobsAreThoseWithoutARow() async throws {
        let (live, dying, never) = (
            try await add("live").digest, try await addDying("dying"), BlobDigest(ofText: "never")
        )
        #expect(try await catalog.unknownBlobs(among: [live, never, dying]) == [never])
        #expect(try await catalog.unknownBlobs(among: []) == [])
        clock.advance(by: grace)
        #expect(try await catalog.removeBlob(dying, dyingFor: grace))
        #expect(try await Set(catalog.unknownBlobs(among: [live, never, dying])) == [never, dying])
    }

    fileprivate func completingRevivesADyingBlob() async throws {
        let digest = try await addDying("text")
        clock.advance(by: grace)
        #expect(try await dying() == [digest])
        // The reclaimer has listed the blob, and here comes an upload of the same bytes.
        let file = try await add("text", named: "again")
        #expect(try await catalog.removeBlob(digest, dyingFor: grace) == false)
        #expect(try await dying() == [])
        #expect(try await catalog.blob(digest) == Blob(digest: digest, size: 4, name: file.name, expires: nil))
        #expect(try await catalog.statistics() == Statistics(blobs: 1, files: 1, blobBytes: 4))
    }

    fileprivate func revivedBlobHasItsGraceAnew() async throws {
        _ = try await addDying("text")
        clock.advance(by: .seconds(29))
        let digest = try await addDying("text")
        clock.advance(by: .seconds(29))
        #expect(try await dying() == [])
        #expect(try await catalog.removeBlob(digest, dyingFor: grace) == false)
        clock.advance(by: .seconds(1))
        #expect(try await dying() == [digest])
    }

    fileprivate func graceBeginsWithTheLastFile() async throws {
        let last = try await add("text")
        let digest = try await addDying("text")
        clock.advance(by: grace)
        #expect(try await dying() == [])
        try await catalog.destroyFile(last.id, of: .ann)
        #expect(try await dying() == [])
        clock.advance(by: grace)
        #expect(try await dying() == [digest])
    }

    fileprivate func removedBlobCanComeBack() async throws {
        let digest = try await addDying("text")
        clock.advance(by: grace)
        #expect(try await catalog.removeBlob(digest, dyingFor: grace))
        let file = try await add("text", named: "again")
        #expect(try await catalog.blob(digest) == Blob(digest: digest, size: 4, name: file.name, expires: nil))
        #expect(try await catalog.statistics() == Statistics(blobs: 1, files: 1, blobBytes: 4))
    }

    fileprivate func concurrentRemovalsHaveOneWinner() async throws {
        let digest = try await addDying("text")
        let results = await concurrently(16) { _ in try await catalog.removeBlob(digest, dyingFor: .zero) }
        #expect(try results.count { try $0.get() } == 1)
        #expect(try await catalog.statistics() == Statistics())
    }

    fileprivate func concurrentRemovalAndRevivalAgree() async throws {
        for number in 0..<16 {
            let text = "text \(number)"
            let digest = try await addDying(text)
            let results = await concurrently(2) { number in
                if number == 0 {
                    _ = try await catalog.removeBlob(digest, dyingFor: .zero)
                } else {
                    _ = try await add(text)
                }
            }
            for result in results { try result.get() }
            #expect(try await catalog.blob(digest)?.size == Int64(text.utf8.count))
            #expect(try await catalog.removeBlob(digest, dyingFor: .zero) == false)
            #expect(try await catalog.statistics().blobs == Int64(number + 1))
        }
    }
}
