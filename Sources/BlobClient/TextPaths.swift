// The same calls for paths that are text, as most are. Names that are no UTF-8 need the ones with a `FilePath`.

public import BlobCore
import SystemPackage

extension BlobServiceClient {
    /// Uploads a file; see ``upload(file:options:journal:progress:)-(FilePath,_,_,_)``.
    public func upload(
        file path: String, options: UploadOptions = UploadOptions(), journal: UploadJournal? = nil,
        progress: @escaping @Sendable (TransferEvent) -> Void = { _ in }
    ) async throws -> StoredFile {
        try await upload(file: FilePath(path), options: options, journal: journal, progress: progress)
    }

    /// Downloads a blob into a file; see ``download(_:to:progress:)-(_,FilePath,_)``.
    public func download(
        _ digest: BlobDigest, to path: String, progress: @escaping @Sendable (TransferEvent) -> Void = { _ in }
    ) async throws {
        try await download(digest, to: FilePath(path), progress: progress)
    }

    /// The digest of a file; see ``digest(ofFile:)-(FilePath)``.
    public static func digest(ofFile path: String) async throws -> BlobDigest {
        try await digest(ofFile: FilePath(path))
    }
}
