// The rules of every byte store, checked on the one of a bucket.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import NIOCore
import PostgresPool
import S3Client
import Testing

@testable import CloudBackend

@Suite(.timeLimit(.minutes(10))) struct CloudByteStoreTests {
    @Test(arguments: ByteStoreConformance.allCases)
    func conformance(rule: ByteStoreConformance) async throws {
        try await withStore { store in try await rule.check { store } }
    }

    @Test(arguments: UInt64(1)...10)
    func randomOperations(seed: UInt64) async throws {
        try await withStore { store in
            // A node that is started again finds the database and the bucket, and nothing else counts.
            try await RandomOperations(seed: seed, steps: 200).run(againstByteStore: {
                CloudByteStore(pool: store.database.pool, bucket: store.bucket, retention: .long)
            })
        }
    }

    @Test func largeUploadIsCutIntoSegments() async throws {
        try await withStore { store in
            let bytes = (0..<40).flatMap { [UInt8](repeating: $0, count: 1 << 20) }
            let upload = Lease.sample()
            let writer = try await store.writer(for: upload, expecting: nil)
            for start in stride(from: 0, to: bytes.count, by: 1 << 20) {
                try await writer.write([ByteBuffer(bytes: bytes[start..<start + (1 << 20)])])
            }
            try await writer.publish(as: BlobDigest(of: bytes))
            let content = try #require(try await store.content(of: BlobDigest(of: bytes)))
            #expect(content.pieces.map(\.byteCount) == [16 << 20, 16 << 20, 8 << 20])
            for range: Range<Int64> in [
                0..<1, 0..<41_943_040, 16_777_215..<16_777_217, 16_777_216..<33_554_432, 41_943_039..<41_943_040,
            ] {
                let found = try await read(range, of: try await opened(BlobDigest(of: bytes), in: store))
                #expect(found == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
            }
        }
    }

    @Test func segmentsGrowWithTheUpload() async throws {
        try await withStore { original in
            let store = CloudByteStore(
                pool: original.database.pool, bucket: original.bucket, retention: .long, steadySegments: 1)
            let bytes = (0..<150).flatMap { [UInt8](repeating: $0, count: 1 << 20) }
            var upload = Lease.sample()
            let writer = try await store.writer(for: upload, expecting: nil)
            for mebibyte in 0..<140 {
                try await writer.write([ByteBuffer(bytes: bytes[mebibyte << 20..<(mebibyte + 1) << 20])])
                // A segment that is not closed yet does not count, and nothing waits for it.
                if mebibyte == 60 { #expect(try await writer.checkpoint().digest.count <= 32 << 20) }
            }
            upload = upload.advanced(to: RunningDigest(of: bytes[..<(140 << 20)]))
            #expect(try await writer.flush() == DurableBytes(upload.upload.digest))

            let next = try await store.writer(for: upload, expecting: nil)
            try await next.write([ByteBuffer(bytes: bytes[(140 << 20)...])])
            try await next.publish(as: BlobDigest(of: bytes))
            let content = try #require(try await store.content(of: BlobDigest(of: bytes)))
            #expect(content.pieces.map { $0.byteCount >> 20 } == [16, 16, 32, 64, 12, 10])
            #expect(try await measured(BlobDigest(of: bytes), in: store)?.digest == BlobDigest(of: bytes))
            // Nothing is left half sent.
            let left = try await store.bucket.listMultipartUploads(prefix: "segments/\(upload.id)")
            #expect(left.entries.isEmpty)
        }
    }

    @Test(arguments: [0, 1]) func nothingIsOpenedToBeRemembered(count: Int) async throws {
        try await withStore { store in
            let bytes = [UInt8](repeating: 1, count: count)
            let writer = try await store.writer(for: .sample(), expecting: nil)
            try await writer.write([ByteBuffer(bytes: bytes)])
            try await writer.publish(as: BlobDigest(of: bytes))
            #expect(try await opened(BlobDigest(of: bytes), in: store).size == Int64(count))
        }
    }

    @Test func piecesAreComposedAndSwept() async throws {
        try await withStore(.none) { store in
            let catalog = CloudCatalog(pool: store.database.pool)
            // The bytes of small blobs go through the node, those of large ones stay in the store.
            let sizes = [3 << 20, 1, 6 << 20, 5 << 20, 70_000]
            let bytes = sizes.enumerated().flatMap { [UInt8](repeating: UInt8($0.offset), count: $0.element) }
            var lease = try await catalog.lease(of: try await catalog.start())
            let writer = try await store.writer(for: lease, expecting: nil)
            var position = 0
            for size in sizes {
                try await writer.write([ByteBuffer(bytes: bytes[position..<position + size])])
                let durable = try await writer.flush().digest
                lease = try await catalog.advance(
                    lease, to: durable, expires: lease.upload.expires, announcing: true, quota: nil)
                position += size
            }
            let digest = BlobDigest(of: bytes)
            try await writer.publish(as: digest)
            let file = try await catalog.complete(
                lease, with: await writer.taken(), expires: lease.upload.expires, fileExpires: nil, quota: nil
            )
            #expect(FileID(at: file.created, after: nil) <= file.id)
            try await store.discard(lease.id)
            #expect(try await store.content(of: digest)?.pieces.count == 5)
            let openedBefore = try await opened(digest, in: store)
            _ = try await store.database.pool.query("UPDATE contents SET created = created - 60001")
            try await store.composeLargeBlobs()
            let content = try #require(try await store.content(of: digest))
            #expect(content.pieces.map(\.byteCount) == [Int64(bytes.count)])
            #expect(try await measured(digest, in: store) == MeasuredBytes(size: Int64(bytes.count), digest: digest))
            #expect(try await store.size(of: digest, at: content) == Int64(bytes.count))
            #expect(try await store.sweep() == 5)
            #expect(try await objects(of: lease.id, in: store) == [content.pieces[0].key])
            #expect(try await read(1..<content.size, of: openedBefore) == Array(bytes[1...]))

            try await catalog.destroyFile(file.id, of: nil)
            #expect(try await catalog.removeBlob(digest, dyingFor: .zero))
            #expect(try await store.content(of: digest) == nil)
            #expect(try await store.sweep() == 1)
            #expect(try await objects(of: lease.id, in: store).isEmpty)
            await #expect { _ = try await openedBefore.bytes(of: 0..<1) } throws: { error in
                (error as? BlobError)?.reason == .bytesUnknown
            }
        }
    }

    @Test func whatWasLeftBehindIsSwept() async throws {
        try await withStore(.none, isAlone: true) { young in
            var retention = CloudByteStore.Retention.none
            retention.strayAge = .seconds(-5)
            let old = CloudByteStore(pool: young.database.pool, bucket: young.bucket, retention: retention)
            _ = try await old.sweep()
            let bytes = Array("somebody asks for it".utf8)
            let upload = Lease.sample()
            let writer = try await young.writer(for: upload, expecting: nil)
            try await writer.write([ByteBuffer(bytes: bytes)])
            _ = try await writer.flush()
            let stray = ObjectKey(upload: UploadID().uuid, name: "1-1-left-behind")
            try await young.bucket.put(stray.text, [ByteBuffer(string: "nobody asks for it")])
            try await young.bucket.put("notes.txt", [ByteBuffer(string: "somebody else's")])
            let multipart = try await young.bucket.createMultipartUpload(stray.text)
            _ = try await young.bucket.uploadPart(multipart, number: 1, [ByteBuffer(string: "never completed")])

            // It might be about to get its row.
            #expect(try await young.sweep() == 0)
            // Nor is it old for a node whose clock is nine days ahead of the database's.
            try await setClock(of: old, back: 9 * 86_400_000)
            #expect(try await old.sweep() == 0)
            try await setClock(of: old, back: 0)
            #expect(try await old.sweep() == 2)
            #expect(try await old.sweep() == 0)
            #expect(try await old.bucket.head(stray.text) == nil)
            #expect(try await old.bucket.head("notes.txt") != nil)
            #expect(try await old.bucket.listMultipartUploads(prefix: "").entries.isEmpty)
            try await old.writer(for: upload.advanced(to: RunningDigest(of: bytes)), expecting: 0).publish(
                as: BlobDigest(of: bytes))
            #expect(try await measured(BlobDigest(of: bytes), in: old)?.digest == BlobDigest(of: bytes))
        }
    }

    @Test func aBlobsRowTellsWhereItsBytesAre() async throws {
        try await withStore { store in
            let catalog = CloudCatalog(pool: store.database.pool)
            let digest = try await complete(["text"], catalog, store)
            let place = try #require(try await catalog.located(digest)?.place)
            #expect(place == (try await store.content(of: digest)))
            // It is taken at its word: the rows are not asked again.
            _ = try await store.database.pool.query("UPDATE contents SET state = 3, removed = now_ms()")
            let error = await #expect(throws: BlobError.self) { _ = try await store.open(digest) }
            #expect(error?.reason == .bytesUnknown)
            guard case .remote(let blob) = try await store.open(digest, at: place) else { throw Unexpected() }
            #expect(try await read(0..<4, of: blob) == Array("text".utf8))
        }
    }

    @Test func bytesThatAreNoOneObjectOrDamagedHaveNoPlace() async throws {
        try await withStore { store in
            let catalog = CloudCatalog(pool: store.database.pool)
            let inPieces = try await complete(["in ", "pieces"], catalog, store)
            #expect(try await catalog.located(inPieces)?.place == nil)
            #expect(try await read(0..<9, of: try await opened(inPieces, in: store)) == Array("in pieces".utf8))
            let damaged = try await complete(["damaged"], catalog, store)
            let place = try #require(try await store.place(of: damaged))
            #expect(try await catalog.setCondition(.damaged, of: damaged, at: place))
            #expect(try await catalog.located(damaged)?.place == nil)
        }
    }

    /// Uploads texts, each of them a segment, and completes the upload.
    private func complete(
        _ texts: [String], _ catalog: CloudCatalog, _ store: CloudByteStore
    ) async throws -> BlobDigest {
        let lease = try await catalog.lease(of: try await catalog.start())
        let writer = try await store.writer(for: lease, expecting: nil)
        for text in texts {
            try await writer.write([ByteBuffer(string: text)])
            _ = try await writer.flush()
        }
        let taken = await writer.taken()
        try await writer.publish(as: taken.digest)
        return try await catalog.complete(
            lease, with: taken, expires: lease.upload.expires, fileExpires: nil, quota: nil
        ).digest
    }

    /// Sets the time that all nodes share.
    private func setClock(of store: CloudByteStore, back milliseconds: Int64) async throws {
        _ = try await store.database.pool.query(
            """
            CREATE OR REPLACE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql STABLE AS $$
                SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::BIGINT - \(milliseconds)
            $$
            """)
    }

    private func measured(_ digest: BlobDigest, in store: CloudByteStore) async throws -> MeasuredBytes? {
        let place = try #require(try await store.place(of: digest))
        return try await store.measure(digest, at: place) { _ in }
    }

    private func opened(_ digest: BlobDigest, in store: CloudByteStore) async throws -> RemoteBlob {
        guard case .remote(let blob) = try await store.open(digest) else { throw Unexpected() }
        return blob
    }

    private func read(_ range: Range<Int64>, of blob: RemoteBlob) async throws -> [UInt8] {
        let source = try await blob.bytes(of: range)
        var found: [UInt8] = []
        while let buffer = try await source.next() { found.append(contentsOf: buffer.readableBytesView) }
        return found
    }

    private func objects(of upload: UploadID, in store: CloudByteStore) async throws -> [String] {
        let prefix = ObjectKey(upload: upload.uuid, name: "").text
        return try await store.bucket.list(prefix: prefix, after: nil, limit: 1000).entries.map(\.key)
    }

    struct Unexpected: Error {}
}

extension CloudByteStore.Retention {
    /// Nobody restores the database.
    static let none = CloudByteStore.Retention(restoreWindow: .zero, longestUpload: .seconds(86_400))
    static let long = CloudByteStore.Retention(restoreWindow: .seconds(86_400), longestUpload: .seconds(86_400))
}

/// Runs `body` with a store of its own schema.
func withStore(
    _ retention: CloudByteStore.Retention = .long, isAlone: Bool = false,
    _ body: (CloudByteStore) async throws -> Void
) async throws {
    try await TestSchema.with { schema in
        try await schema.withPool { pool in
            let bucket = try Engines.bucket(isAlone: isAlone)
            do {
                try await body(CloudByteStore(pool: pool, bucket: bucket, retention: retention))
            } catch {
                await bucket.shutdown()
                throw error
            }
            await bucket.shutdown()
        }
    }
}
