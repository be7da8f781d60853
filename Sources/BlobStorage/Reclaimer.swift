// Lets go of what nobody needs any more.

public import BlobCore
public import Logging

/// Removes expired uploads and files, and blobs that no file points at.
///
/// Rows go first, bytes second: a crash between the two leaves garbage, which ``discardOrphans()`` finds at the next
/// start, and never a row without bytes.
public final class Reclaimer: Sendable {
    private let catalog: any Catalog
    private let bytes: any ByteStore
    private let blobs: BlobService
    private let locks: BlobLocks
    private let grace: Duration
    private let logger: Logger

    /// Work per round, so that a flood of expiries does not hold up uploads.
    private static let limit = 1000

    /// - Parameter grace: how long a blob without files is kept, so that uploading it again is free of work.
    public init(
        catalog: any Catalog, bytes: any ByteStore, blobs: BlobService, locks: BlobLocks, grace: Duration,
        logger: Logger
    ) {
        self.catalog = catalog
        self.bytes = bytes
        self.blobs = blobs
        self.locks = locks
        self.grace = grace
        self.logger = logger
    }

    /// Removes what an upload left behind whose row is gone. Looks at uploads only, not at blobs, so that it takes no
    /// longer the more blobs there are.
    public func discardOrphans() async throws(BlobError) {
        for id in try await bytes.heldUploads() {
            if let upload = try await catalog.upload(id), case .open = upload.state { continue }
            try await bytes.discard(id)
            logger.info("discarded the bytes of an upload that is over", metadata: ["upload": "\(id)"])
        }
    }

    /// One round of reclaiming.
    public func reclaim() async throws(BlobError) {
        let uploads = try await catalog.removeExpired(limit: Self.limit)
        for id in uploads { try await bytes.discard(id) }
        var removed = 0
        for digest in try await catalog.dyingBlobs(for: grace, limit: Self.limit) {
            let isRemoved = try await locks.holding(digest) { () throws(BlobError) in
                guard try await catalog.removeBlob(digest, dyingFor: grace) else { return false }
                blobs.forget(digest)
                try await bytes.remove(digest)
                return true
            }
            if isRemoved { removed += 1 }
        }
        if !uploads.isEmpty || removed > 0 {
            logger.info("reclaimed", metadata: ["uploads": "\(uploads.count)", "blobs": "\(removed)"])
        }
    }

    /// Reclaims again and again until the task is cancelled.
    public func run(every interval: Duration) async throws {
        while !Task.isCancelled {
            do {
                try await reclaim()
            } catch {
                logger.error("reclaiming failed; trying again later", metadata: ["error": "\(error)"])
            }
            try await Task.sleep(for: interval)
        }
    }
}
