// The rules of a catalog's files, and of a blob's facts about the files that point at it.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about files and the names of blobs.
public enum FileRule: String, CaseIterable, Sendable {
    /// A file or blob that was never recorded is not found.
    case unrecordedFileIsUnknown
    /// A destroyed file is unknown, and destroying it again is refused.
    case destroyedFileIsUnknown
    /// Another subject's file is as unknown to a destroyer as one that never was.
    case anothersFileCannotBeDestroyed
    /// Without an owner to compare, anybody's file is destroyed.
    case anybodysFileCanBeDestroyed
    /// Of many calls that destroy a file at the same time, exactly one succeeds.
    case concurrentDestroysHaveOneWinner
    /// A temporary file is gone, with its blob, from the moment of its expiry on, removed or not.
    case temporaryFileGoesAtItsExpiry
    /// A blob lives while any file points at it.
    case blobLivesWhileAFileDoes
    /// A blob bears the name of its oldest permanent file.
    case blobIsNamedByItsOldestPermanentFile
    /// A permanent file names the blob before an older temporary one.
    case permanentFileNamesTheBlobBeforeAnOlderTemporaryOne
    /// Without a permanent file, the oldest live temporary one names the blob.
    case blobIsElseNamedByItsOldestTemporaryFile
    /// When the file that named the blob goes, the next one names it.
    case blobNamePassesOn
    /// A blob expires with its last file, and not at all while a permanent file points at it.
    case blobExpiresWithItsLastFile

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .unrecordedFileIsUnknown: try await trial.unrecordedFileIsUnknown()
        case .destroyedFileIsUnknown: try await trial.destroyedFileIsUnknown()
        case .anothersFileCannotBeDestroyed: try await trial.anothersFileCannotBeDestroyed()
        case .anybodysFileCanBeDestroyed: try await trial.anybodysFileCanBeDestroyed()
        case .concurrentDestroysHaveOneWinner: try await trial.concurrentDestroysHaveOneWinner()
        case .temporaryFileGoesAtItsExpiry: try await trial.temporaryFileGoesAtItsExpiry()
        case .blobLivesWhileAFileDoes: try await trial.blobLivesWhileAFileDoes()
        case .blobIsNamedByItsOldestPermanentFile: try await trial.blobIsNamedByItsOldestPermanentFile()
        case .permanentFileNamesTheBlobBeforeAnOlderTemporaryOne: try await trial.permanentFileNamesTheBlobFirst()
        case .blobIsElseNamedByItsOldestTemporaryFile: try await trial.blobIsElseNamedByItsOldestTemporaryFile()
        case .blobNamePassesOn: try await trial.blobNamePassesOn()
        case .blobExpiresWithItsLastFile: try await trial.blobExpiresWithItsLastFile()
        }
    }
}

extension CatalogTrial {
    private func nameOfBlob(_ text: String) async throws -> String? {
        try await catalog.blob(BlobDigest(ofText: text))?.name.text
    }

    fileprivate func unrecordedFileIsUnknown() async throws {
        let file = try await add("text")
        let unknown = try #require(FileID(value: file.id.value + 1))
        #expect(try await catalog.file(unknown) == nil)
        await expectError(.fileUnknown) { try await catalog.destroyFile(unknown, of: nil) }
        #expect(try await catalog.blob(BlobDigest(ofText: "another text")) == nil)
        #expect(try await catalog.file(file.id) == file)
    }

    fileprivate func destroyedFileIsUnknown() async throws {
        let (file, other) = (try await add("text"), try await add("other"))
        try await catalog.destroyFile(file.id, of: .ann)
        #expect(try await catalog.file(file.id) == nil)
        #expect(try await catalog.blob(file.digest) == nil)
        await expectError(.fileUnknown) { try await catalog.destroyFile(file.id, of: .ann) }
        #expect(try await catalog.files(FileQuery()) == FilePage(count: 1, items: [other]))
    }

    fileprivate func anothersFileCannotBeDestroyed() async throws {
        let file = try await add("text", owner: .ann)
        await expectError(.fileUnknown) { try await catalog.destroyFile(file.id, of: .bob) }
        #expect(try await catalog.file(file.id) == file)
        #expect(try await catalog.dyingBlobs(for: .zero, limit: 10) == [])
    }

    fileprivate func anybodysFileCanBeDestroyed() async throws {
        let file = try await add("text", owner: .ann)
        try await catalog.destroyFile(file.id, of: nil)
        #expect(try await catalog.file(file.id) == nil)
    }

    fileprivate func concurrentDestroysHaveOneWinner() async throws {
        let (file, other) = (try await add("text"), try await add("text"))
        let results = await concurrently(16) { _ in try await catalog.destroyFile(file.id, of: .ann) }
        #expect(results.count(where: \.isSuccess) == 1)
        #expect(try await catalog.usage(of: .ann) == Usage(charge: Charge.of(4), letGo: 2 * Charge.rows))
        #expect(try await catalog.blob(file.digest)?.name == other.name)
    }

    fileprivate func temporaryFileGoesAtItsExpiry() async throws {
        let file = try await add("text", lifetime: .seconds(60))
        clock.advance(by: .milliseconds(59_875))
        _ = try await catalog.removeExpired(limit: 10)
        #expect(try await catalog.file(file.id) == file)
        #expect(try await catalog.blob(file.digest)?.expires == file.expires)
        clock.advance(by: .milliseconds(125))
        for _ in 0..<2 {
            #expect(try await catalog.file(file.id) == nil)
            #expect(try await catalog.blob(file.digest) == nil)
            #expect(try await catalog.files(FileQuery()) == FilePage(count: 0, items: []))
            await expectError(.fileUnknown) { try await catalog.destroyFile(file.id, of: .ann) }
            _ = try await catalog.removeExpired(limit: 10)
        }
    }

    fileprivate func blobLivesWhileAFileDoes() async throws {
        let files = [
            try await add("text", owner: .ann), try await add("text", owner: .bob),
            try await add("text", owner: .ann, lifetime: .seconds(60)),
        ]
        for file in files.prefix(2) {
            try await catalog.destroyFile(file.id, of: file.owner)
            #expect(try await catalog.blob(file.digest)?.size == 4)
            #expect(try await catalog.dyingBlobs(for: .zero, limit: 10) == [])
            #expect(try await catalog.removeBlob(file.digest, dyingFor: .zero) == false)
        }
        clock.advance(by: .seconds(60))
        #expect(try await catalog.blob(files[2].digest) == nil)
        _ = try await catalog.removeExpired(limit: 10)
        #expect(try await catalog.dyingBlobs(for: .zero, limit: 10) == [files[2].digest])
    }

    fileprivate func blobIsNamedByItsOldestPermanentFile() async throws {
        _ = try await add("text", named: "zebra", owner: .ann)
        clock.advance(by: .seconds(1))
        _ = try await add("text", named: "aardvark", owner: .bob)
        // The clock went back: the file that was recorded first is still the oldest.
        clock.advance(by: .seconds(-60))
        _ = try await add("text", named: "mule", owner: .bob)
        #expect(try await nameOfBlob("text") == "zebra")
    }

    fileprivate func permanentFileNamesTheBlobFirst() async throws {
        _ = try await add("text", named: "temporary", lifetime: .seconds(60))
        clock.advance(by: .seconds(1))
        _ = try await add("text", named: "permanent")
        #expect(try await nameOfBlob("text") == "permanent")
    }

    fileprivate func blobIsElseNamedByItsOldestTemporaryFile() async throws {
        _ = try await add("text", named: "zebra", lifetime: .seconds(60))
        clock.advance(by: .seconds(1))
        _ = try await add("text", named: "aardvark", lifetime: .seconds(3600))
        #expect(try await nameOfBlob("text") == "zebra")
        clock.advance(by: .seconds(59))
        #expect(try await nameOfBlob("text") == "aardvark")
        _ = try await catalog.removeExpired(limit: 10)
        #expect(try await nameOfBlob("text") == "aardvark")
    }

    fileprivate func blobNamePassesOn() async throws {
        let first = try await add("text", named: "first")
        let second = try await add("text", named: "second")
        _ = try await add("text", named: "third", lifetime: .seconds(60))
        #expect(try await nameOfBlob("text") == "first")
        try await catalog.destroyFile(first.id, of: .ann)
        #expect(try await nameOfBlob("text") == "second")
        try await catalog.destroyFile(second.id, of: .ann)
        #expect(try await nameOfBlob("text") == "third")
    }

    fileprivate func blobExpiresWithItsLastFile() async throws {
        let digest = BlobDigest(ofText: "text")
        let late = try await add("text", lifetime: .seconds(120))
        _ = try await add("text", lifetime: .seconds(60))
        #expect(try await catalog.blob(digest)?.expires == late.expires)
        let permanent = try await add("text")
        #expect(try await catalog.blob(digest)?.expires == nil)
        try await catalog.destroyFile(permanent.id, of: .ann)
        #expect(try await catalog.blob(digest)?.expires == late.expires)
    }
}
