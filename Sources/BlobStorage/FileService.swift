// The rules of files: who sees and removes which.

public import BlobCore

/// Shows and removes files. An administrator's calls reach everybody's, others' their own; a file that a caller may not
/// see is as unknown as one that never was.
public struct FileService: Sendable {
    private let catalog: any Catalog
    private let blobs: BlobLife

    public init(catalog: any Catalog, blobs: BlobLife) {
        self.catalog = catalog
        self.blobs = blobs
    }

    /// - Parameter query: its owner is set here.
    public func files(_ query: FileQuery, for caller: Caller) async throws(BlobError) -> FilePage {
        var query = query
        query.owner = caller.isAdministrator ? nil : caller.subject
        return try await catalog.files(query)
    }

    /// - Throws: ``BlobError/Reason/fileUnknown``.
    public func file(_ id: FileID, for caller: Caller) async throws(BlobError) -> File {
        guard let file = try await catalog.file(id), caller.isAdministrator || file.owner == caller.subject else {
            throw .fileUnknown
        }
        return file
    }

    /// Removes a file; its blob goes with its last file, after a grace.
    ///
    /// - Returns: the file that was.
    /// - Throws: ``BlobError/Reason/fileUnknown``.
    @discardableResult
    public func destroy(_ id: FileID, for caller: Caller) async throws(BlobError) -> File {
        let file = try await file(id, for: caller)
        try await blobs.destroy(file, of: caller.isAdministrator ? nil : caller.subject)
        return file
    }
}
