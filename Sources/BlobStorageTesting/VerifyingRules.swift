// The rules of a catalog's answers to a verification of blobs and uploads.

import BlobCore
import BlobStorage
import Testing

/// A catalog's promises about the condition of blobs, and about walking through its rows.
public enum VerifyingRule: String, CaseIterable, Sendable {
    /// A new blob is sound.
    case newBlobIsSound
    /// A condition that was set is told by the blob and by its row, and stays until another is set.
    case conditionIsTold
    /// A suspicion is nothing new of a blob that is known to be damaged.
    case suspicionDoesNotLiftDamage
    /// Completing an upload of the same bytes makes a damaged blob sound, live or dying.
    case completingMakesSound
    /// Setting the condition of a blob that has no row has no effect.
    case conditionOfUnknownBlobIsIgnored
    /// Suspected blobs are listed, no others, and no more than the limit allows.
    case suspectedBlobsAreListed
    /// All rows of blobs, dying ones too, are listed once, page by page, in the order of their digests.
    case blobRecordsComeInTheirOrder
    /// All open uploads are listed once, page by page, and no others.
    case openUploadsAreListed
    /// A catalog that nobody damaged has no faults.
    case nothingIsWrongWithoutDamage

    func check(_ trial: CatalogTrial) async throws {
        switch self {
        case .newBlobIsSound: try await trial.newBlobIsSound()
        case .conditionIsTold: try await trial.conditionIsTold()
        case .suspicionDoesNotLiftDamage: try await trial.suspicionDoesNotLiftDamage()
        case .completingMakesSound: try await trial.completingMakesSound()
        case .conditionOfUnknownBlobIsIgnored: try await trial.conditionOfUnknownBlobIsIgnored()
        case .suspectedBlobsAreListed: try await trial.suspectedBlobsAreListed()
        case .blobRecordsComeInTheirOrder: try await trial.blobRecordsComeInTheirOrder()
        case .openUploadsAreListed: try await trial.openUploadsAreListed()
        case .nothingIsWrongWithoutDamage: try await trial.nothingIsWrongWithoutDamage()
        }
    }
}

extension CatalogTrial {
    private func condition(of digest: BlobDigest) async throws -> BlobCondition? {
        let live = try await catalog.blob(digest)?.condition
        let record = try await catalog.blobRecords(after: nil, limit: 1000).first { $0.digest == digest }
        if let live { #expect(record?.condition == live) }
        return record?.condition
    }

    fileprivate func newBlobIsSound() async throws {
        let file = try await add("text")
        #expect(try await condition(of: file.digest) == .sound)
    }

    fileprivate func conditionIsTold() async throws {
        let (file, other) = (try await add("text"), try await add("other"))
        for condition in [BlobCondition.suspected, .damaged, .sound] {
            for _ in 0..<2 {
                #expect(try await catalog.note(condition, of: file.digest))
                #expect(try await self.condition(of: file.digest) == condition)
            }
        }
        #expect(try await condition(of: other.digest) == .sound)
    }

    fileprivate func suspicionDoesNotLiftDamage() async throws {
        let file = try await add("text")
        try await catalog.note(.damaged, of: file.digest)
        #expect(try await catalog.note(.suspected, of: file.digest))
        #expect(try await condition(of: file.digest) == .damaged)
    }

    fileprivate func completingMakesSound() async throws {
        let (live, dying) = (try await add("live"), try await add("dying"))
        try await catalog.destroyFile(dying.id, of: nil)
        for file in [live, dying] {
            for condition in [BlobCondition.suspected, .damaged] {
                try await catalog.note(condition, of: file.digest)
                _ = try await add(file == live ? "live" : "dying")
                #expect(try await self.condition(of: file.digest) == .sound)
            }
        }
    }

    fileprivate func conditionOfUnknownBlobIsIgnored() async throws {
        #expect(try await !catalog.note(.damaged, of: BlobDigest(ofText: "unknown")))
        #expect(try await catalog.blobRecords(after: nil, limit: 10) == [])
        _ = try await add("unknown")
        #expect(try await condition(of: BlobDigest(ofText: "unknown")) == .sound)
    }

    fileprivate func suspectedBlobsAreListed() async throws {
        var suspected: Set<BlobDigest> = []
        for number in 0..<9 {
            let digest = try await add("text \(number)").digest
            let condition = BlobCondition.allCases[number % 3]
            try await catalog.note(condition, of: digest)
            if condition == .suspected { suspected.insert(digest) }
        }
        #expect(Set(try await catalog.suspectedBlobs(limit: 100).map(\.digest)) == suspected)
        #expect(try await catalog.suspectedBlobs(limit: 2).count == 2)
    }

    fileprivate func blobRecordsComeInTheirOrder() async throws {
        var expected: [String] = []
        for number in 0..<10 {
            let file = try await add(String(repeating: "x", count: number))
            if number.isMultiple(of: 3) { try await catalog.destroyFile(file.id, of: nil) }
            expected.append("\(file.digest.hex) \(number)")
        }
        var (found, last): ([String], BlobDigest?) = ([], nil)
        while true {
            let page = try await catalog.blobRecords(after: last, limit: 3)
            #expect(page.count <= 3)
            found += page.map { "\($0.digest.hex) \($0.size)" }
            guard let end = page.last else { break }
            last = end.digest
        }
        #expect(found == expected.sorted())
    }

    fileprivate func openUploadsAreListed() async throws {
        var open: Set<UploadID> = []
        for _ in 0..<7 { open.insert(try await start().id) }
        _ = try await add("completed")
        try await catalog.fail(try await claimNew())
        _ = try await start(lifetime: .seconds(1))
        clock.advance(by: .seconds(1))
        var (found, last): ([UploadID], UploadID?) = ([], nil)
        while true {
            let page = try await catalog.openUploads(after: last, limit: 3)
            #expect(page.count <= 3)
            found += page.map(\.id)
            guard let end = page.last else { break }
            last = end.id
        }
        #expect(found.count == 7)
        #expect(Set(found) == open)
    }

    fileprivate func nothingIsWrongWithoutDamage() async throws {
        let file = try await add("text", lifetime: .seconds(10))
        _ = try await add("text", owner: .bob)
        _ = try await advance(try await claimNew(), to: "more")
        try await catalog.fail(try await claimNew())
        try await catalog.destroyFile(file.id, of: nil)
        #expect(try await catalog.faults() == [])
    }
}

extension Catalog {
    /// Records the condition of bytes that are at no place.
    @discardableResult
    fileprivate func note(_ condition: BlobCondition, of digest: BlobDigest) async throws(BlobError) -> Bool {
        try await setCondition(condition, of: digest, at: nil)
    }
}
