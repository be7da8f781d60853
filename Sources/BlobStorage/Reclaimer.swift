// Removes uploads, files, blobs and bytes that nobody needs any more.

public import BlobCore
public import Logging
import Metrics
import Synchronization

/// The numbers of a round of reclaiming.
public struct Reclaimed: Equatable, Sendable {
    /// Uploads and files whose time had come.
    public var uploads = 0
    public var files = 0
    /// Blobs that no file pointed at any more.
    public var blobs = 0
    /// Bytes of uploads and blobs for which there was no row: left behind by crashes and errors.
    public var orphans = 0
    /// Things that could not be removed and are left for the next round.
    public var failures = 0

    public init() {}
}

/// Removes expired uploads and files, blobs that no file points at, and bytes without a row.
///
/// Rows go first, bytes second, so that a crash or an error between the two leaves bytes without a row and never a row
/// without bytes. A blob is removed only while its digest is locked, after its row was looked at again: a completion of
/// the same bytes comes before, and keeps it, or after, and publishes it anew.
public final class Reclaimer: Sendable {
    private let catalog: any Catalog
    private let bytes: any ByteStore
    private let blobs: BlobLife
    private let grace: Duration
    private let logger: Logger
    /// Made with the reclaimer, so that each is shown before there was anything to count.
    private let counters = Reclaimed().counts.map { kind, _ in
        Counter(label: "blobd_reclaimed_total", dimensions: [("kind", kind)])
    }
    private let failures = Counter(label: "blobd_reclaim_failures_total")
    /// Where the next round looks for blobs without a row.
    private let nextByte = Mutex<UInt8>(0)

    /// Rows per transaction, so that a flood of expiries does not hold up uploads.
    private static let batchSize = 1000
    /// Names of blobs that one round looks at. Blobs without a row are rare, and looking for them can take its time.
    private static let namesPerRound = 100_000

    /// - Parameter grace: how long a blob without files is kept, so that uploading it again is free of work.
    public init(
        backend: any Backend, blobs: BlobLife, grace: Duration, logger: Logger
    ) {
        catalog = backend.catalog
        bytes = backend.bytes
        self.blobs = blobs
        self.grace = grace
        self.logger = logger
    }

    /// One round: everything that is due, and a share of the search for bytes without a row.
    ///
    /// - Parameter searchingAll: whether to look at all blobs for those without a row, however long it takes.
    /// - Throws: when the rows cannot be read. Bytes that cannot be removed are counted, and left for the next round.
    @discardableResult
    public func reclaim(searchingAll: Bool = false) async throws(BlobError) -> Reclaimed {
        var round = Reclaimed()
        try await removeExpired(&round)
        try await discardOrphanedUploads(&round)
        try await removeDyingBlobs(&round)
        try await removeOrphanedBlobs(&round, searchingAll: searchingAll)
        round.orphans += try await bytes.sweep()
        record(round)
        return round
    }

    // MARK: Steps

    private func removeExpired(_ round: inout Reclaimed) async throws(BlobError) {
        while !Task.isCancelled {
            let expired = try await catalog.removeExpired(limit: Self.batchSize)
            round.uploads += expired.uploads.count
            round.files += expired.fileCount
            for id in expired.uploads { _ = await discard(id, &round) }
            if max(expired.uploads.count, expired.fileCount) < Self.batchSize { return }
        }
    }

    /// Uploads are few beside blobs: all that are held are looked at every time.
    private func discardOrphanedUploads(_ round: inout Reclaimed) async throws(BlobError) {
        for id in try await bytes.heldUploads() {
            if Task.isCancelled { return }
            if let upload = try await catalog.upload(id), case .open = upload.state { continue }
            if await discard(id, &round) { round.orphans += 1 }
        }
    }

    private func removeDyingBlobs(_ round: inout Reclaimed) async throws(BlobError) {
        while !Task.isCancelled {
            let dying = try await catalog.dyingBlobs(for: grace, limit: Self.batchSize)
            var removed = 0
            for digest in dying {
                let outcome = try await blobs.remove(digest, dyingFor: grace)
                if outcome != .success(false) { removed += 1 }
                note(outcome, &round, "blob", "\(digest)")
            }
            round.blobs += removed
            // Those that were revived meanwhile would be listed no more: nothing removed means nothing left to do.
            if dying.count < Self.batchSize || removed == 0 { return }
        }
    }

    private func removeOrphanedBlobs(_ round: inout Reclaimed, searchingAll: Bool) async throws(BlobError) {
        var seen = 0
        for _ in UInt8.min...UInt8.max {
            if Task.isCancelled || !searchingAll && seen >= Self.namesPerRound { return }
            let byte = nextByte.withLock { byte in
                defer { byte &+= 1 }
                return byte
            }
            let held = try await bytes.heldBlobs(beginningWith: byte)
            seen += held.count
            try await catalog.forEachUnknownBlob(among: held) { digest throws(BlobError) in
                let outcome = try await blobs.removeOrphan(digest)
                if note(outcome, &round, "blob", "\(digest)") { round.orphans += 1 }
            }
        }
    }

    /// Lets go of an upload's bytes.
    ///
    /// - Returns: whether they are gone.
    private func discard(_ id: UploadID, _ round: inout Reclaimed) async -> Bool {
        let outcome = await Result.catching { () throws(BlobError) in
            try await bytes.discard(id)
            return true
        }
        return note(outcome, &round, "upload", "\(id)")
    }

    /// Counts and logs the failure of one thing, so that it does not keep the others waiting.
    ///
    /// - Returns: whether it is gone.
    @discardableResult
    private func note(_ outcome: Result<Bool, BlobError>, _ round: inout Reclaimed, _ kind: String, _ name: String)
        -> Bool
    {
        switch outcome {
        case .success(let isGone): return isGone
        case .failure(let error):
            round.failures += 1
            logger.error("cannot be removed now; trying again later", metadata: [kind: "\(name)", "error": "\(error)"])
            return false
        }
    }

    private func record(_ round: Reclaimed) {
        let counts = round.counts
        for (counter, (_, count)) in zip(counters, counts) { counter.increment(by: count) }
        failures.increment(by: round.failures)
        guard round != Reclaimed() else { return }
        let metadata = (counts + [("failures", round.failures)]).map { ($0.0, Logger.MetadataValue.string("\($0.1)")) }
        logger.info("reclaimed", metadata: Logger.Metadata(uniqueKeysWithValues: metadata))
    }
}

extension Reclaimed {
    /// The numbers of things removed, by the names of the metric and the log.
    fileprivate var counts: [(kind: String, count: Int)] {
        [("uploads", uploads), ("files", files), ("blobs", blobs), ("orphans", orphans)]
    }
}
