// What a migration reads: all rows of a catalog, page by page, and the bytes of open uploads.

public import BlobCore
public import BlobStorage
import Foundation
import GRDB
import SystemPackage

private enum ExportRows {
    static let files = """
        SELECT \(File.columns) FROM files WHERE id > :after AND \(FileRows.isLive) ORDER BY id LIMIT :limit
        """
    static let uploads = """
        SELECT \(UploadRows.columns) FROM uploads WHERE expires > ?1 AND id > ?2 ORDER BY id LIMIT ?3
        """
}

extension LocalCatalog {
    /// Live files in the order of their ids, after `id` or from the first; up to `limit`.
    public func files(after id: FileID?, limit: Int) async throws(BlobError) -> [File] {
        try await read { db, now in
            // The order of the parameters' first uses: `:after`, `:now`, `:limit`.
            try db.all(ExportRows.files, [id?.value ?? -1, now, max(0, limit)], as: { try File(row: $0) })
        }
    }

    /// Uploads in whatever state, in the order of their ids, after `id` or from the first; up to `limit`.
    public func uploads(after id: UploadID?, limit: Int) async throws(BlobError) -> [Upload] {
        try await read { db, now in
            try db.all(ExportRows.uploads, [now, Data(id?.bytes ?? []), max(0, limit)], as: Upload.init(row:))
        }
    }

    /// All tokens, each with the SHA-256 of its secret.
    public func tokensWithSecrets() async throws(BlobError) -> [(token: AccessToken, secretDigest: BlobDigest)] {
        try await read { db, _ in
            try db.all(TokenRows.selectWithSecrets) { row in (try AccessToken(row: row), try row.digest(6)) }
        }
    }
}

extension LocalByteStore {
    /// Opens the bytes of an upload; `nil` when none are held. Bytes past the upload's offset were never acknowledged.
    public func openUpload(_ id: UploadID) async throws(BlobError) -> BlobFile? {
        try await openFile(at: directory.uploads.appending(id.description))
    }
}
