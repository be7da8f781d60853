// The operations of the API, each as one request and what its answer says.

import AsyncHTTPClient
import BlobCore
import Foundation
import NIOCore
import NIOHTTP1

/// The bytes of a part of an upload, on their way.
struct OutgoingPiece: Sendable {
    enum Bytes: Sendable {
        case buffer(ByteBuffer)
        case source(PieceBody, count: Int64)
    }

    var bytes: Bytes
    /// Where the bytes belong, told to a server that understands it.
    var guardedOffset: Int64?
}

/// One method for each operation. Nothing is tried again here.
struct Calls: Sendable {
    let transport: Transport

    // MARK: Uploads

    func initiate(_ options: UploadOptions) async throws -> UploadStatus {
        var query: [(String, String)] = []
        if let name = options.name { query.append(("filename", name)) }
        if let path = options.path { query.append(("path", path)) }
        if options.isTemporary { query.append(("temporary", "true")) }
        let answer = try await transport.exchange(
            ServerRequest(method: .POST, path: "/api/blobs/uploads", query: query, body: .bytes(ByteBuffer())))
        return try Self.uploadStatus(answer)
    }

    func status(of id: UploadID) async throws -> UploadStatus {
        try Self.uploadStatus(
            await transport.exchange(ServerRequest(method: .GET, path: "/api/blobs/uploads/\(id)/status")))
    }

    func append(_ piece: OutgoingPiece, to upload: UploadStatus) async throws -> UploadStatus {
        let answer = try await transport.exchange(sending(piece, to: upload, "append"))
        return try Self.uploadStatus(answer)
    }

    /// - Parameter digest: what the whole upload must be.
    func complete(
        _ upload: UploadStatus, with piece: OutgoingPiece, digest: BlobDigest
    ) async throws -> StoredFile {
        var request = sending(piece, to: upload, "complete")
        request.query = [("digest", digest.hex)]
        var file: StoredFile = try Self.decoded(await transport.exchange(request))
        file.digest = file.digest ?? digest.hex
        guard file.digest == digest.hex else {
            throw BlobClientError.wrongDigest(
                expected: digest, found: file.digest.flatMap { try? BlobDigest(parsing: $0) })
        }
        file.url = transport.url("/api/blobs/\(digest)")
        return file
    }

    func destroy(_ id: UploadID) async throws {
        _ = try await transport.exchange(
            ServerRequest(method: .POST, path: "/api/blobs/uploads/\(id)/destroy", body: .bytes(ByteBuffer())))
    }

    private func sending(_ piece: OutgoingPiece, to upload: UploadStatus, _ action: String) -> ServerRequest {
        var request = ServerRequest(
            method: .POST, path: "/api/blobs/uploads/\(upload.id)/\(action)", body: transport.body(of: piece.bytes))
        request.headers.add(name: "PortSIP-Upload-Token", value: upload.token)
        request.headers.add(name: "Content-Type", value: "application/octet-stream")
        if let offset = piece.guardedOffset { request.headers.add(name: "Upload-Offset", value: "\(offset)") }
        return request
    }

    private static func uploadStatus(_ answer: ServerAnswer) throws -> UploadStatus {
        guard let id = answer.headers.first(name: "PortSIP-Upload-ID").flatMap({ UploadID(parsing: $0) }),
            let token = answer.headers.first(name: "PortSIP-Upload-Token")
        else { throw BlobClientError.unexpectedAnswer("it names no upload") }
        let expires = answer.headers.first(name: "Upload-Expires").flatMap(HTTPDate.date)
        if let offset = answer.headers.first(name: "Upload-Offset").flatMap({ Int64($0) }), offset >= 0 {
            return UploadStatus(id: id, offset: offset, isOffsetExact: true, expires: expires, token: token)
        }
        // `0-<last>`, and `0-0` also for nothing at all.
        let last = answer.headers.first(name: "Range")?.split(separator: "-").last.flatMap { Int64($0) } ?? 0
        guard last >= 0, last < .max else { throw BlobClientError.unexpectedAnswer("its Range is out of range") }
        return UploadStatus(
            id: id, offset: last == 0 ? 0 : last + 1, isOffsetExact: false, expires: expires, token: token)
    }

    // MARK: Files

    func files(_ query: FileQuery) async throws -> FilePage {
        var parameters = [query.after.map { ("after", $0) } ?? ("skip", "\(query.skip)"), ("top", "\(query.top)")]
        if let search = query.search { parameters.append(("search", search)) }
        if let order = query.order {
            parameters.append(("orderby", order.rawValue + (query.isDescending ? " desc" : "")))
        }
        return try Self.decoded(
            await transport.exchange(ServerRequest(method: .GET, path: "/api/files", query: parameters)))
    }

    func file(_ id: String) async throws -> StoredFile {
        try Self.decoded(
            await transport.exchange(ServerRequest(method: .GET, path: "/api/files/\(PercentEncoding.component(id))")))
    }

    func destroyFile(_ id: String) async throws {
        let path = "/api/files/\(PercentEncoding.component(id))/destroy"
        _ = try await transport.exchange(ServerRequest(method: .POST, path: path, body: .bytes(ByteBuffer())))
    }

    private static func decoded<Value: Decodable>(_ answer: ServerAnswer) throws -> Value {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            return try decoder.decode(Value.self, from: Data(answer.body.readableBytesView))
        } catch {
            throw BlobClientError.unexpectedAnswer("its body is not the JSON of this API")
        }
    }

    // MARK: Downloads

    /// Asks for a blob from an offset on, and up to another. The answer may be all of it, where the server knows no
    /// ranges.
    func download(_ digest: BlobDigest, from offset: Int64, to end: Int64? = nil) async throws -> IncomingBlob {
        var headers = HTTPHeaders()
        if offset > 0 || end != nil {
            headers.add(name: "Range", value: "bytes=\(offset)-\(end.map { "\($0 - 1)" } ?? "")")
            headers.add(name: "If-Range", value: "\"\(digest)\"")
        }
        let followed = try await transport.follow("/api/blobs/\(digest)", headers: headers)
        let response = followed.response
        switch response.status.code {
        case 200:
            let length = response.headers.first(name: "Content-Length").flatMap { Int64($0) }
            let name = IncomingBlob.name(in: response.headers.first(name: "Content-Disposition"))
            return IncomingBlob(start: 0, end: length, size: length, body: response.body, name: name)
        case 206:
            let told = response.headers.first(name: "Content-Range").flatMap { ContentRange(parsing: $0) }
            guard let range = told, range.first == offset, range.last < .max else {
                throw BlobClientError.unexpectedAnswer("its Content-Range is not what was asked for")
            }
            return IncomingBlob(
                start: offset, end: range.last + 1, size: range.size, body: response.body, isPart: true)
        case 416 where offset > 0 || end != nil:
            // Everything was here already; only an empty rest is not satisfiable.
            return IncomingBlob(start: offset, end: offset, size: offset, body: nil)
        default:
            let answer = try await Transport.whole(response)
            // Its refusals are not the server's: an address that it gave may have expired, and the next is another.
            if let stranger = followed.stranger {
                throw BlobClientError.connection(
                    "\(stranger), where the server sends downloads, answered \(response.status.code)")
            }
            throw BlobClientError.refused(ServerRefusal(answer))
        }
    }

    /// The size and name of a blob; `nil` when it is not there. By GET, the one way that the reference API has; the
    /// body is dropped.
    func blob(_ digest: BlobDigest) async throws -> BlobInfo? {
        do {
            let blob = try await download(digest, from: 0)
            return BlobInfo(digest: digest, size: blob.size, name: blob.name)
        } catch BlobClientError.refused(let refusal) where refusal.status == 404 {
            return nil
        }
    }
}

/// A blob's bytes as they come.
struct IncomingBlob: Sendable {
    /// Where the first of them belongs.
    var start: Int64
    /// Where the last of them ends, where the server tells: what comes after it is not taken.
    var end: Int64?
    /// Of the whole blob, where the server tells.
    var size: Int64?
    /// `nil` when nothing is missing.
    var body: HTTPClientResponse.Body?
    /// Whether it is what was asked for alone.
    var isPart = false
    /// What the server would call the file.
    var name: String?
}

extension IncomingBlob {
    /// RFC 6266: `filename*` (RFC 8187) comes before `filename`. Whatever the server says, it names no other directory,
    /// and holds nothing that nobody would see.
    fileprivate static func name(in disposition: String?) -> String? {
        guard let disposition else { return nil }
        let extended = disposition.end(of: "filename*=UTF-8''").map { start in
            PercentEncoding.decoded(disposition[start...].prefix { $0 != ";" && $0 != " " }) ?? ""
        }
        let plain = disposition.end(of: "filename=").map { start in
            let value = disposition[start...]
            return value.first == "\"" ? unquoted(value.dropFirst()) : String(value.prefix { $0 != ";" })
        }
        guard let text = extended ?? plain else { return nil }
        return (try? FileName(parsing: HiddenCharacter.replaced(in: text) { _ in "_" }))?.text
    }

    /// RFC 9110, §5.6.4.
    private static func unquoted(_ text: Substring) -> String {
        var (result, isEscaped) = ("", false)
        for character in text {
            if !isEscaped && character == "\"" { break }
            isEscaped = !isEscaped && character == "\\"
            if !isEscaped { result.append(character) }
        }
        return result
    }
}

extension String {
    /// Where the text after the first occurrence begins.
    fileprivate func end(of text: String) -> Index? { range(of: text, options: .caseInsensitive)?.upperBound }
}
