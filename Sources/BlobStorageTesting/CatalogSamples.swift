// Uploads and files that hold a text, for the tests of any catalog.

public import BlobCore
public import BlobStorage
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
        try await create(upload, openUploadLimit: limit)
        return upload
    }

    /// Adds a file that holds a text.
    ///
    /// - Parameter expires: the end of its life; `nil` for a permanent one.
    public func add(
        _ text: String, named name: String = "report.pdf", owner: Subject = Subject("ann"), expires: Date? = nil
    ) async throws(BlobError) -> File {
        let upload = try await claim(try await start(name, owner: owner).id, of: owner)
        return try await complete(upload, with: UploadProgress(of: text), expires: upload.expires, fileExpires: expires)
    }
}

extension UploadProgress {
    /// The progress of an upload that holds all of a text.
    public init(of text: String) {
        var digest = RunningDigest()
        var text = text
        text.withUTF8 { digest.update(UnsafeRawBufferPointer($0)) }
        self.init(offset: Int64(text.utf8.count), digest: digest)
    }
}
