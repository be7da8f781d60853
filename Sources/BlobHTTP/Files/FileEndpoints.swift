// Files: what may be asked about them, and how they are shown.

import BlobCore
public import BlobStorage
import Foundation
import HTTPServerCore
import HTTPTypes

/// The operations on files.
public struct Files: Surface {
    private let files: FileService
    private let address: PublicAddress

    /// - Parameter address: whose path goes before those that answers name.
    public init(_ files: FileService, at address: PublicAddress = .untold) {
        (self.files, self.address) = (files, address)
    }

    public var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/api/files", "files", for: .read, list),
            Endpoint(.get, "/api/files/{id}", "file", for: .read, file),
            Endpoint(.post, "/api/files/{id}/destroy", "destroy-file", for: .delete, isChange: true, destroy)
                .audited(as: .delete),
        ]
    }

    private func list(_ request: Request, _: Captures, _ caller: Caller) async throws -> Response {
        let page = try await files.files(request.query.fileQuery(), for: caller)
        return .json(FileList(page, at: address, subject: caller.subject))
    }

    private func file(_: Request, _ path: Captures, _ caller: Caller) async throws -> Response {
        .json(FileItem(try await files.file(try fileID(path), for: caller), at: address))
    }

    private func destroy(
        _ request: Request, _ path: Captures, _ caller: Caller
    ) async throws -> Response {
        let id = try fileID(path)
        request.record.note("file", "\(id)")
        request.record.note(try await files.destroy(id, for: caller))
        return Response(.noContent)
    }

    private func fileID(_ path: Captures) throws(BlobError) -> FileID {
        let text = String(path["id"])
        // Base64 may come percent-encoded: '=' is legal in a path, but not every client leaves it alone.
        guard let id = FileID(parsing: PercentEncoding.decoded(text[...]) ?? text) else { throw .fileUnknown }
        return id
    }
}

/// A file as the API shows it.
struct FileItem: Encodable {
    let id: String
    let name: String
    /// `null` where the uploader told none: the key is always there.
    let path: String?
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
        case id, name, path, size, digest, url, temporary, owner
        case mediaType = "media_type"
        case createdAt = "created_at"
        case expiresAt = "expires_at"
    }

    init(_ file: File, at address: PublicAddress) {
        id = file.id.description
        name = file.name.text
        path = file.path?.text
        size = file.size
        mediaType = BlobHTTP.mediaType(of: file.name)
        createdAt = file.created
        digest = file.digest.hex
        url = address.blob(file.digest)
        temporary = file.isTemporary
        expiresAt = file.expires
        owner = file.owner.name
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(name, forKey: .name)
        try container.encode(path, forKey: .path)
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
    /// `null` on the last page: the key is always there.
    let next: String?

    private enum CodingKeys: String, CodingKey {
        case count, subject, items, next
    }

    init(_ page: FilePage, at address: PublicAddress, subject: Subject) {
        count = page.count
        self.subject = subject.name
        items = page.items.map { FileItem($0, at: address) }
        next = page.next?.description
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(count, forKey: .count)
        try container.encode(subject, forKey: .subject)
        try container.encode(items, forKey: .items)
        try container.encode(next, forKey: .next)
    }
}

extension Query {
    fileprivate func fileQuery() throws(WireError) -> FileQuery {
        let search = try value("search")
        let (order, isDescending) = try fileOrder()
        let top = try fileTop()
        guard let text = try value("after") else {
            return FileQuery(
                search: search, order: order, isDescending: isDescending, skip: try fileSkip() ?? 0, top: top)
        }
        guard try fileSkip() == nil else {
            throw .invalid(
                "The parameter 'after' takes the place of 'skip': leave one of them out.")
        }
        guard let cursor = FileCursor(parsing: text) else {
            throw .invalid("The parameter 'after' is no cursor: send a page's 'next' as it is.")
        }
        guard cursor.order == order, cursor.isDescending == isDescending else {
            throw .invalid(
                "The parameter 'after' is a cursor of another order: send the 'orderby' of the page that it came from."
            )
        }
        return FileQuery(search: search, after: cursor, top: top)
    }

    private func fileOrder() throws(WireError) -> (FileQuery.Order, isDescending: Bool) {
        guard let text = try value("orderby") else { return (.created, false) }
        for order in FileQuery.Order.allCases {
            for (direction, isDescending) in [("", false), (" asc", false), (" desc", true)]
            where text.utf8.elementsEqual((order.rawValue + direction).utf8) {
                return (order, isDescending)
            }
        }
        throw .invalid(
            "The parameter 'orderby' is 'name', 'size' or 'created_at', with ' asc' or ' desc' after it or not.")
    }

    private func fileSkip() throws(WireError) -> Int64? {
        guard let text = try value("skip") else { return nil }
        guard let skip = Int64(decimal: text) else {
            throw .invalid("The parameter 'skip' is a number of files, 0 or more.")
        }
        return skip
    }

    private func fileTop() throws(WireError) -> Int {
        guard let text = try value("top") else { return 100 }
        guard let top = Int64(decimal: text), (1...100).contains(top) else {
            throw .invalid("The parameter 'top' is a number of files from 1 to 100.")
        }
        return Int(top)
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
