// The services of one node, without HTTP before them.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import Logging
import NIOCore
import S3Client
import Testing

@testable import CloudBackend

/// One of several nodes, which share the database and the bucket alone.
struct TestNode {
    let catalog: CloudCatalog
    let bytes: CloudByteStore
    let blobs: BlobLife
    let uploads: UploadService
    let verifier: Verifier

    init(on store: CloudByteStore) {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        catalog = CloudCatalog(pool: store.database.pool)
        bytes = CloudByteStore(pool: store.database.pool, bucket: store.bucket, retention: .long, logger: logger)
        let backend = BucketBackend(catalog: catalog, bytes: bytes)
        blobs = BlobLife(of: backend, logger: logger)
        uploads = UploadService(
            backend: backend, blobs: blobs,
            settings: UploadSettings(
                maximumBlobSize: 1 << 40, maximumOpenUploads: 1000, quota: nil, uploadLifetime: .seconds(3600),
                temporaryLifetime: .seconds(60)
            ),
            clock: SystemClock()
        )
        verifier = Verifier(catalog: catalog, blobs: blobs, logger: logger)
    }

    /// Uploads texts, each in a request and so in an object of its own.
    @discardableResult
    func upload(_ texts: String...) async throws -> BlobDigest {
        let (owner, digest) = (Subject("ann"), BlobDigest(of: texts.joined().utf8))
        let id = try await uploads.initiate(owner: owner, name: nil, isTemporary: false).id
        for text in texts {
            let body = SingleBody(ByteBuffer(string: text))
            _ = try await uploads.append(
                IncomingBody(length: Int64(text.utf8.count)) { await body.next() }, to: id, of: owner, guarded: nil)
        }
        return try await uploads.complete(id, of: owner, with: .empty, guarded: nil, digest: digest).digest
    }

    /// The bytes that a client is sent.
    func download(_ digest: BlobDigest, range: Range<Int64>? = nil) async throws -> String {
        guard case .remote(let blob) = try await blobs.open(digest).content else { throw NotRemote() }
        let source = try await blob.bytes(of: range ?? 0..<blob.size)
        var found = ByteBuffer()
        while var buffer = try await source.next() { found.writeBuffer(&buffer) }
        return String(buffer: found)
    }

    func condition(of digest: BlobDigest) async throws -> BlobCondition? {
        try await record(of: digest)?.condition
    }

    func record(of digest: BlobDigest) async throws -> BlobRecord? {
        try await catalog.blobRecords(after: nil, limit: 1000).first { $0.digest == digest }
    }

    /// Overwrites one of the objects that hold a blob, behind all nodes' back.
    func replaceObject(_ number: Int = 0, of digest: BlobDigest, with text: String) async throws {
        let content = try #require(try await bytes.content(of: digest))
        try await bytes.bucket.put(content.pieces[number].key, [ByteBuffer(string: text)])
    }

    private struct NotRemote: Error {}
}

private actor SingleBody {
    private var bytes: ByteBuffer?

    init(_ bytes: ByteBuffer) {
        self.bytes = bytes
    }

    func next() -> [ByteBuffer]? {
        defer { bytes = nil }
        return bytes.map { [$0] }
    }
}
