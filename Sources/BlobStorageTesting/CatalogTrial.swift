// The tools for writing the rules of a catalog: a catalog under test, its clock, and short ways to fill it.

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
        try await catalog.create(upload, openUploadLimit: .max, quota: nil)
        return upload
    }

    /// Starts an upload and completes it with a text.
    ///
    /// - Parameter lifetime: how long the file lives; `nil` for a permanent one.
    func add(
        _ text: String, named name: String? = "report.pdf", owner: Subject = .ann, path: String? = nil,
        lifetime: Duration? = nil
    ) async throws -> File {
        let upload = try await start(name, owner: owner, isTemporary: lifetime != nil, path: path)
        return try await complete(try await catalog.lease(of: upload), with: text, lifetime: lifetime)
    }

    /// Completes a leased upload with a text. Its answer can be repeated for an hour.
    func complete(
        _ lease: Lease, with text: String, lifetime: Duration? = nil, quota: Int64? = nil
    ) async throws -> File {
        try await catalog.complete(
            lease, with: RunningDigest(of: text.utf8), expires: clock.time(in: .seconds(3600)),
            fileExpires: lifetime.map { clock.time(in: $0) }, quota: quota
        )
    }

    /// Advances a leased upload to hold a text, its expiry put off to an hour from now.
    func advance(
        _ lease: Lease, to text: String, announcing: Bool = false, quota: Int64? = nil
    ) async throws -> Lease {
        try await catalog.advance(
            lease, to: RunningDigest(of: text.utf8), expires: clock.time(in: .seconds(3600)), announcing: announcing,
            quota: quota
        )
    }

    /// The upload's row, which must be there.
    func row(_ upload: Upload, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Upload {
        try #require(try await catalog.upload(upload.id), sourceLocation: sourceLocation)
    }

    func row(_ lease: Lease, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Upload {
        try await row(lease.upload, sourceLocation: sourceLocation)
    }

    /// Starts an upload and claims it.
    func claimNew(
        _ name: String? = "report.pdf", owner: Subject = .ann, isTemporary: Bool = false,
        path: String? = nil, lifetime: Duration = .seconds(3600)
    ) async throws -> Lease {
        try await catalog.lease(
            of: try await start(name, owner: owner, isTemporary: isTemporary, path: path, lifetime: lifetime))
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
