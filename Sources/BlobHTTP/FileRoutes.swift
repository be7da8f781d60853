// The routes of files.

import BlobCore
import BlobStorage
import Foundation
import HTTPTypes

extension API {
    func listFiles(_ request: Request, _ caller: Caller) async throws(BlobError) -> Response {
        let page = try await files.files(request.query.fileQuery(), for: caller)
        return .json(FileList(count: page.count, subject: caller.subject.name, items: page.items.map(FileItem.init)))
    }

    func file(_ id: String, _ caller: Caller) async throws(BlobError) -> Response {
        .json(FileItem(try await files.file(try fileID(id), for: caller)))
    }

    func destroyFile(_ id: String, _ caller: Caller) async throws(BlobError) -> Response {
        try await files.destroy(try fileID(id), for: caller)
        return Response(.noContent)
    }

    private func fileID(_ text: String) throws(BlobError) -> FileID {
        // Base64 may come percent-encoded: '=' is legal in a path, but not every client leaves it alone.
        guard let id = FileID(parsing: text.removingPercentEncoding ?? text) else { throw .fileUnknown }
        return id
    }
}

extension Response {
    fileprivate static func json(_ value: some Encodable) -> Response {
        Response(.ok, fields: [.contentType: "application/json", .cacheControl: "no-store"], body: .json(value))
    }
}

/// A file as the API shows it.
struct FileItem: Encodable {
    let id: String
    let name: String
    let size: Int64
    let mediaType: String
    let createdAt: Date
    let digest: String
    let url: String
    let temporary: Bool
    /// `null` for a permanent file: the key is always there.
    let expiresAt: Date?
    let owner: String

    private enum CodingKeys: String, CodingKey {
        case id, name, size, digest, url, temporary, owner
        case mediaType = "media_type"
        case createdAt = "created_at"
        case expiresAt = "expires_at"
    }

    init(_ file: File) {
        id = file.id.description
        name = file.name.text
        size = file.size
        mediaType = BlobHTTP.mediaType(of: file.name)
        createdAt = file.created
        digest = file.digest.hex
        url = "/api/blobs/\(file.digest.hex)"
        temporary = file.isTemporary
        expiresAt = file.expires
        owner = file.owner.name
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(name, forKey: .name)
        try container.encode(size, forKey: .size)
        try container.encode(mediaType, forKey: .mediaType)
        try container.encode(createdAt, forKey: .createdAt)
        try container.encode(digest, forKey: .digest)
        try container.encode(url, forKey: .url)
        try container.encode(temporary, forKey: .temporary)
        try container.encode(expiresAt, forKey: .expiresAt)
        try container.encode(owner, forKey: .owner)
    }
}

private struct FileList: Encodable {
    let count: Int64
    /// Who asked: with the scope `admin`, the only way to tell one's own files from others'.
    let subject: String
    let items: [FileItem]
}

extension Query {
    fileprivate func fileQuery() throws(BlobError) -> FileQuery {
        var query = FileQuery()
        query.search = try value("search")
        if let text = try value("orderby") {
            let parts = text.split(separator: " ", omittingEmptySubsequences: false)
            let direction = parts.count == 2 ? parts[1] : "asc"
            guard (1...2).contains(parts.count), let order = FileQuery.Order(rawValue: String(parts[0])),
                direction == "asc" || direction == "desc"
            else {
                throw BlobError(
                    .validationFailed,
                    "The parameter 'orderby' is 'name', 'size' or 'created_at', with ' asc' or ' desc' after it or not."
                )
            }
            query.order = order
            query.isDescending = direction == "desc"
        }
        if let text = try value("skip") {
            guard let skip = decimal(text) else {
                throw BlobError(.validationFailed, "The parameter 'skip' is a number of files, 0 or more.")
            }
            query.skip = skip
        }
        if let text = try value("top") {
            guard let top = decimal(text), (1...100).contains(top) else {
                throw BlobError(.validationFailed, "The parameter 'top' is a number of files from 1 to 100.")
            }
            query.top = Int(top)
        }
        return query
    }
}

/// The media type that a file's name suggests; `application/octet-stream` where it suggests none.
func mediaType(of name: FileName) -> String {
    guard let dot = name.text.lastIndex(of: ".") else { return "application/octet-stream" }
    return mediaTypes[name.text[name.text.index(after: dot)...].lowercased()] ?? "application/octet-stream"
}

/// Types of the IANA registry for what telephone systems and offices keep.
private let mediaTypes = [
    "7z": "application/x-7z-compressed", "aac": "audio/aac", "amr": "audio/AMR", "avi": "video/x-msvideo",
    "bmp": "image/bmp", "css": "text/css", "csv": "text/csv", "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "flac": "audio/flac",
    "gif": "image/gif", "gz": "application/gzip", "heic": "image/heic", "htm": "text/html", "html": "text/html",
    "ico": "image/vnd.microsoft.icon", "jpeg": "image/jpeg", "jpg": "image/jpeg", "js": "text/javascript",
    "json": "application/json", "log": "text/plain", "m4a": "audio/mp4", "md": "text/markdown", "mkv": "video/matroska",
    "mov": "video/quicktime", "mp3": "audio/mpeg", "mp4": "video/mp4", "mpeg": "video/mpeg",
    "odt": "application/vnd.oasis.opendocument.text", "ogg": "audio/ogg", "opus": "audio/opus",
    "pdf": "application/pdf",
    "png": "image/png", "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", "rtf": "application/rtf",
    "svg": "image/svg+xml", "tar": "application/x-tar", "tif": "image/tiff", "tiff": "image/tiff", "txt": "text/plain",
    "vcf": "text/vcard", "wav": "audio/wav", "webm": "video/webm", "webp": "image/webp",
    "xls": "application/vnd.ms-excel", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml", "yaml": "application/yaml", "yml": "application/yaml", "zip": "application/zip",
    "zst": "application/zstd",
]
