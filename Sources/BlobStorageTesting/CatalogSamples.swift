// Uploads and files that hold a text, for the tests of any catalog, and leases without one.

public import BlobCore
@_spi(Catalogs) public import BlobStorage
public import struct Foundation.Date

extension Catalog {
    /// Starts an upload that outlives every test.
    public func start(
        _ name: String = "report.pdf", owner: Subject = Subject("ann"), limit: Int = .max
    ) async throws(BlobError) -> Upload {
        let upload = Upload(
            id: UploadID(), owner: owner, name: FileName(trusted: name), isTemporary: false,
            expires: Date(timeIntervalSince1970: 4_000_000_000)
        )
        try await create(upload, openUploadLimit: limit, quota: nil)
        return upload
    }

    /// Adds a file that holds a text.
    ///
    /// - Parameter expires: the end of its life; `nil` for a permanent one.
    public func add(
        _ text: String, named name: String = "report.pdf", owner: Subject = Subject("ann"), expires: Date? = nil
    ) async throws(BlobError) -> File {
        let lease = try await lease(of: try await start(name, owner: owner))
        return try await complete(
            lease, with: RunningDigest(of: text.utf8), expires: lease.upload.expires, fileExpires: expires, quota: nil)
    }

    /// Claims an upload for its owner.
    ///
    /// - Throws: ``BlobError/Reason/uploadUnknown``, also when it is completed.
    public func lease(of upload: Upload) async throws(BlobError) -> Lease {
        guard case .open(let lease) = try await claim(upload.id, of: upload.owner) else { throw .uploadUnknown }
        return lease
    }
}

extension RunningDigest {
    /// The digest of all of these bytes.
    public init(of bytes: some Collection<UInt8>) {
        self.init()
        Array(bytes).withUnsafeBytes { update($0) }
    }
}

extension Lease {
    /// That of an upload that holds nothing yet, as a catalog would hand it to a byte store.
    public static func sample(_ id: UploadID = UploadID()) -> Lease {
        Lease(
            to: Upload(id: id, owner: Subject("ann"), name: nil, isTemporary: false, expires: .distantFuture), epoch: 1)
    }

    /// That of the upload when a catalog has recorded its durable bytes.
    public func advanced(to digest: RunningDigest) -> Lease {
        advanced(to: digest, expires: upload.expires, announced: upload.announced)
    }
}
