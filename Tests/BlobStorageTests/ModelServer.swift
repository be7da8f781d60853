// The services over the in-memory models.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import Logging
import NIOCore

/// A service over models that a test can look into.
struct ModelServer {
    let clock = ManualClock()
    let catalog: InMemoryCatalog
    let bytes: InMemoryByteStore
    let blobs: BlobLife
    let uploads: UploadService
    let files: FileService
    let reclaimer: Reclaimer
    let verifier: Verifier

    init(
        maximumBlobSize: Int64 = 1 << 40, openUploads: Int = 10, quota: Int64? = nil, capacity: Int? = nil,
        silenceLimit: Duration = .seconds(5), grace: Duration = .seconds(10)
    ) {
        catalog = InMemoryCatalog(clock: clock)
        bytes = InMemoryByteStore(capacity: capacity)
        let backend = InMemoryBackend(catalog: catalog, bytes: bytes)
        let logger = Logger(label: "test")
        blobs = BlobLife(of: backend, logger: logger)
        uploads = UploadService(
            backend: backend, blobs: blobs,
            settings: UploadSettings(
                maximumBlobSize: maximumBlobSize, maximumOpenUploads: openUploads, quota: quota,
                uploadLifetime: .seconds(3600), temporaryLifetime: .seconds(60)
            ),
            clock: clock, silenceLimit: silenceLimit
        )
        files = FileService(catalog: catalog, blobs: blobs)
        reclaimer = Reclaimer(backend: backend, blobs: blobs, grace: grace, logger: logger)
        verifier = Verifier(catalog: catalog, blobs: blobs, logger: logger)
    }

    func start(isTemporary: Bool = false) async throws -> UploadID {
        try await uploads.initiate(owner: Self.owner, name: nil, isTemporary: isTemporary).id
    }

    @discardableResult
    func append(_ text: String, to id: UploadID, guarded: AppendGuard? = nil) async throws -> Int64 {
        try await uploads.append(Self.body(text), to: id, of: Self.owner, guarded: guarded).offset
    }

    /// Uploads a text and completes it.
    func complete(_ text: String) async throws -> File {
        try await uploads.complete(
            try await start(), of: Self.owner, with: Self.body(text), guarded: nil, digest: nil)
    }

    static let owner = Subject("amal")

    static func body(_ pieces: String..., then error: (any Error)? = nil, announced: Bool = true)
        -> IncomingBody
    {
        let source = Source(pieces, error)
        let length = pieces.reduce(0) { $0 + Int64($1.utf8.count) }
        return IncomingBody(length: announced ? length : nil) { try await source.next() }
    }

    private actor Source {
        private var pieces: [String]
        private let error: (any Error)?

        init(_ pieces: [String], _ error: (any Error)?) {
            self.pieces = pieces
            self.error = error
        }

        func next() throws -> [ByteBuffer]? {
            if !pieces.isEmpty { return [ByteBuffer(string: pieces.removeFirst())] }
            if let error { throw error }
            return nil
        }
    }
}
