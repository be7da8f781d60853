// Ways through all rows, a page at a time, so that no call holds up others for long.

public import BlobCore

extension Catalog {
    /// The rows that one call reads.
    private static var pageSize: Int { 1000 }

    /// Visits all blobs of a range in the order of their digests. Ends early in a task that was cancelled.
    public func forEachBlob(
        in range: DigestRange, _ visit: (BlobRecord) async throws(BlobError) -> Void
    ) async throws(BlobError) {
        var last = range.after
        while true {
            let page = try await blobRecords(after: last, limit: Self.pageSize)
            for record in page {
                if Task.isCancelled || !range.contains(record.digest) { return }
                try await visit(record)
            }
            guard let end = page.last, page.count == Self.pageSize else { return }
            last = end.digest
        }
    }

    /// Visits all blobs of a range as above, up to `jobs` of them at one time.
    public func forEachBlob(
        in range: DigestRange, jobs: Int, _ visit: @escaping @Sendable (BlobRecord) async throws(BlobError) -> Void
    ) async throws(BlobError) {
        let failure = await withTaskGroup(of: BlobError?.self) { group in
            do throws(BlobError) {
                var running = 0
                try await forEachBlob(in: range) { record throws(BlobError) in
                    if running == jobs {
                        if let failure = await group.next() ?? nil { throw failure }
                        running -= 1
                    }
                    running += 1
                    group.addTask {
                        do throws(BlobError) {
                            try await visit(record)
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                for await case let failure? in group { throw failure }
                return BlobError?.none
            } catch {
                group.cancelAll()
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Visits all open uploads, each once. Ends early in a task that was cancelled.
    public func forEachOpenUpload(
        _ visit: (Upload) async throws(BlobError) -> Void
    ) async throws(BlobError) {
        var last: UploadID?
        while true {
            let page = try await openUploads(after: last, limit: Self.pageSize)
            for upload in page {
                if Task.isCancelled { return }
                try await visit(upload)
            }
            guard let end = page.last, page.count == Self.pageSize else { return }
            last = end.id
        }
    }

    /// Visits those of some blobs for which there is no row. Ends early in a task that was cancelled.
    public func forEachUnknownBlob(
        among digests: [BlobDigest], _ visit: (BlobDigest) async throws(BlobError) -> Void
    ) async throws(BlobError) {
        for start in stride(from: 0, to: digests.count, by: Self.pageSize) {
            let page = Array(digests[start..<min(start + Self.pageSize, digests.count)])
            for digest in try await unknownBlobs(among: page) {
                if Task.isCancelled { return }
                try await visit(digest)
            }
        }
    }
}
