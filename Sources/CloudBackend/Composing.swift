// Makes one object of a blob's many, inside the store, so that a download can be sent there.

public import BlobCore
import NIOCore
import PostgresPool
import S3Client

extension CloudByteStore {
    /// For how long a node has a blob to itself that it composes.
    private static let lease = Duration.seconds(3600)
    /// S3's limits on what an object can be composed of.
    private static let mostParts: Int64 = 10_000
    fileprivate static let leastPartByteCount: Int64 = 5 << 20

    /// Composes the blobs that are in pieces, until there are none or the task is cancelled.
    public func composeLargeBlobs() async throws(BlobError) {
        while !Task.isCancelled {
            let taken = try await database.only(
                "SELECT take_content_in_pieces($1)", [.milliseconds(Self.lease)], isRepeatable: false
            ) { row throws(PostgresError) in try row.optionalBytes(0).flatMap { BlobDigest(bytes: $0) } }
            guard let digest = taken else { return }
            guard let content = try await content(of: digest), content.pieces.count > 1 else { continue }
            let (name, eTag): (String, String)
            do throws(S3Error) {
                (name, eTag) = try await compose(content)
            } catch  where error.tellsOfDamage {
                _ = try await suspect(content, of: digest, after: error)
                continue
            } catch {
                throw refusal(error)
            }
            try await database.run(
                "SELECT replace_pieces($1, $2, $3)", [.integer(content.id), .text(name), .text(eTag)],
                isRepeatable: true
            )
        }
    }

    /// - Returns: the name and the ETag of the object that holds all of a content's bytes.
    private func compose(_ content: StoredContent) async throws(S3Error) -> (name: String, eTag: String) {
        let name = "composed-\(String(UInt64.random(in: .min ... .max), radix: 16))"
        let upload = try await bucket.createMultipartUpload(ObjectKey(upload: content.upload, name: name).text)
        do throws(S3Error) {
            var parts: [S3Part] = []
            // Of very many small pieces, parts are made that are few enough.
            let least = max(Self.leastPartByteCount, content.size / (Self.mostParts - 1) + 1)
            for group in content.pieces.grouped(ofAtLeast: least) {
                parts.append(try await add(group, as: parts.count + 1, to: upload))
            }
            return (name, try await bucket.completeMultipartUpload(upload, parts: parts))
        } catch {
            await abandon(upload)
            throw error
        }
    }

    /// A piece that is large enough is copied inside the store; several small ones go through here.
    private func add(_ pieces: [Piece], as number: Int, to upload: S3MultipartUpload) async throws(S3Error) -> S3Part {
        if pieces.count == 1, let piece = pieces.first {
            let part = try await bucket.copyPart(upload, number: number, from: piece.key, range: piece.requestedRange)
            // Not every store compares when it copies. An object that was replaced before this stays so.
            if let eTag = piece.eTag, try await bucket.head(piece.key)?.eTag != eTag {
                throw S3Error(.preconditionFailed, message: "the object was replaced before it was copied")
            }
            return part
        }
        var buffers: [ByteBuffer] = []
        for piece in pieces {
            var bytes = try await bucket.get(piece.key, range: piece.requestedRange, eTag: piece.eTag)
                .makeAsyncIterator()
            while let buffer = try await bytes.next() { buffers.append(buffer) }
        }
        return try await bucket.uploadPart(upload, number: number, buffers)
    }
}

extension [Piece] {
    /// Neighbours together, so that each group but the last holds so many bytes.
    func grouped(ofAtLeast least: Int64) -> [[Piece]] {
        var groups: [[Piece]] = []
        var group: [Piece] = []
        var byteCount: Int64 = 0
        for piece in self {
            group.append(piece)
            byteCount += piece.byteCount
            guard byteCount >= least else { continue }
            groups.append(group)
            (group, byteCount) = ([], 0)
        }
        if !group.isEmpty { groups.append(group) }
        return groups
    }
}
