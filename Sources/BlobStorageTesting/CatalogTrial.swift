// What the rules of a catalog are written in: a catalog under test, its clock, and short ways to fill it.

import BlobCore
import BlobStorage
import Testing

import struct Foundation.Date

/// An empty catalog that one rule is checked on.
struct CatalogTrial: Sendable {
    let catalog: any Catalog
    let clock: ManualClock

    /// Starts an upload.
    func start(
        _ name: String? = "report.pdf", owner: Subject = .ann, isTemporary: Bool = false,
        path: String? = nil, lifetime: Duration = .seconds(3600)
    ) async throws -> Upload {
        let upload = Upload(
            id: UploadID(), owner: owner, name: name.map(FileName.init(trusted:)), isTemporary: isTemporary,
            path: path.map(RelativePath.init(trusted:)), expires: clock.time(in: lifetime)
        )
        try await catalog.create(upload, openUploadLimit: .max)
        return upload
    }

    /// Claims an upload for its owner.
    func claim(_ upload: Upload) async throws(BlobError) -> Upload {
        try await catalog.claim(upload.id, of: upload.owner)
    }

    /// Starts an upload and completes it with a text.
    ///
    /// - Parameter lifetime: how long the file lives; `nil` for a permanent one.
    func add(
        _ text: String, named name: String? = "report.pdf", owner: Subject = .ann, path: String? = nil,
        lifetime: Duration? = nil
    ) async throws -> File {
        let upload = try await start(name, owner: owner, isTemporary: lifetime != nil, path: path)
        return try await complete(try await claim(upload), with: text, lifetime: lifetime)
    }

    /// Completes a claimed upload with a text. Its answer can be repeated for an hour.
    func complete(_ upload: Upload, with text: String, lifetime: Duration? = nil) async throws -> File {
        try await catalog.complete(
            upload, with: UploadProgress(of: text), expires: clock.time(in: .seconds(3600)),
            fileExpires: lifetime.map { clock.time(in: $0) }
        )
    }

    /// Advances a claimed upload to hold a text, its expiry put off to an hour from now.
    func advance(_ upload: Upload, to text: String, announcing: Bool = false) async throws -> Upload {
        try await catalog.advance(
            upload, to: UploadProgress(of: text), expires: clock.time(in: .seconds(3600)), announcing: announcing
        )
    }

    /// The upload's row, which must be there.
    func row(_ upload: Upload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Upload {
        try #require(try await catalog.upload(upload.id), sourceLocation: sourceLocation)
    }
}

extension Subject {
    static let ann = Subject("ann")
    static let bob = Subject("bob")
}

extension BlobDigest {
    /// The digest of a text.
    init(ofText text: String) {
        self.init(of: text.utf8)
    }
}
