// What a check does with objects: counts, reads, and takes damaged contents out of service.

public import BlobCore
public import BlobStorage
import NIOCore
import PostgresPool
import S3Client

extension CloudByteStore {
    /// Objects that are asked for at one time.
    private static let concurrentHeads = 16

    public func size(of digest: BlobDigest) async throws(BlobError) -> Int64? {
        var seen: StoredContent?
        while let content = try await content(of: digest), content != seen {
            if let size = try await size(of: content) { return size }
            // An object that is gone may have become a part of another since the rows were looked at.
            seen = content
        }
        return nil
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

    public func measure(
        _ digest: BlobDigest, pace: @Sendable (_ byteCount: Int) async -> Void
    ) async throws(BlobError) -> MeasuredBytes? {
        guard let content = try await content(of: digest) else { return nil }
        var running = RunningDigest()
        do throws(BlobError) {
            let bytes = try await PieceReader(0..<content.size, of: digest, content, in: self).started()
            while let buffer = try await bytes.next() {
                running.update(buffer)
                await pace(buffer.readableBytes)
            }
        } catch  where error.code == .blobCorrupt || error.code == .blobUnknown {
            return nil
        }
        return MeasuredBytes(size: running.count, digest: running.digest)
    }

    public func quarantine(_ digest: BlobDigest) async throws(BlobError) {
        // The objects stay where they are: a content in quarantine is served to nobody and swept by nobody.
        try await database.run(
            "UPDATE contents SET state = 2 WHERE digest = $1 AND state IN (0, 1)", [.digest(digest)], isRepeatable: true
        )
    }
}
