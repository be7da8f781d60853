// A check's work with objects: it counts them, reads them, and takes damaged contents out of service.

public import BlobCore
public import BlobStorage
import NIOCore
import PostgresPool
import S3Client

extension CloudByteStore {
    /// Objects that are asked for at one time.
    private static let concurrentHeads = 16

    public func place(of digest: BlobDigest) async throws(BlobError) -> StoredContent? {
        try await content(of: digest)
    }

    public func size(of digest: BlobDigest, at place: StoredContent) async throws(BlobError) -> Int64? {
        var next: StoredContent? = place
        while let content = next {
            if let size = try await size(of: content) { return size }
            next = try await replacement(of: content, digest)
        }
        return nil
    }

    /// The objects, by now, of a content whose objects were missed: one that is gone may have become a part of another
    /// since the rows were looked at. `nil` when nothing has changed.
    private func replacement(of content: StoredContent, _ digest: BlobDigest) async throws(BlobError) -> StoredContent?
    {
        let found = try await self.content(of: digest)
        return found == content ? nil : found
    }

    /// - Returns: `nil` when an object is not there.
    private func size(of content: StoredContent) async throws(BlobError) -> Int64? {
        do {
            return try await withThrowingTaskGroup(of: Int64?.self) { group in
                var pieces = content.pieces.makeIterator()
                for _ in 0..<Self.concurrentHeads {
                    if let piece = pieces.next() {
                        group.addTask { [bucket] in try await bucket.head(piece.key)?.size }
                    }
                }
                var total: Int64 = 0
                while let size = try await group.next() {
                    guard let size else { return nil }
                    total += size
                    if let piece = pieces.next() {
                        group.addTask { [bucket] in try await bucket.head(piece.key)?.size }
                    }
                }
                return total
            }
        } catch let error as S3Error {
            throw reading(error)
        } catch {
            throw unavailable(error)
        }
    }

    /// Reads the object that is there, be it replaced: its bytes alone tell whether it is as good. If so, its ETag is
    /// kept.
    public func measure(
        _ digest: BlobDigest, at place: StoredContent, pace: @Sendable (_ byteCount: Int) async -> Void
    ) async throws(BlobError) -> MeasuredBytes? {
        var next: StoredContent? = place
        while let content = next {
            let reader = PieceReader(0..<content.size, of: digest, content, in: self, for: .verifying)
            var running = RunningDigest()
            do throws(BlobError) {
                let bytes = try await reader.started()
                while let buffer = try await bytes.next() {
                    running.update(buffer)
                    await pace(buffer.readableBytes)
                }
            } catch  where error.reason == .blobCorrupt {
                next = try await replacement(of: content, digest)
                continue
            }
            let measured = MeasuredBytes(size: running.count, digest: running.digest)
            if measured.digest == digest { try await keep(await reader.eTags, of: content) }
            return measured
        }
        return nil
    }

    /// - Parameter eTags: of the objects as they were read just now, one for each piece.
    private func keep(_ eTags: [String], of content: StoredContent) async throws(BlobError) {
        guard eTags != content.pieces.map(\.eTag) else { return }
        try await database.run(
            """
            UPDATE pieces SET etag = read.etag FROM unnest($2, $3) AS read (name, etag)
                WHERE content = $1 AND pieces.name = read.name AND pieces.etag IS DISTINCT FROM read.etag
            """,
            [.integer(content.id), .texts(content.pieces.map(\.name)), .texts(eTags)], isRepeatable: true
        )
    }

    public func quarantine(_ digest: BlobDigest, at place: StoredContent) async throws(BlobError) {
        // The objects stay where they are: a content in quarantine is served to nobody and swept by nobody. That of a
        // blob's row went there with the mark of the row.
        let served = [ContentState.published, .live].map { "\($0.rawValue)" }.joined(separator: ", ")
        try await database.run(
            """
            UPDATE contents SET state = \(ContentState.quarantined.rawValue) WHERE id = $1 AND state IN (\(served))
            """, [.integer(place.id)], isRepeatable: true
        )
    }
}
