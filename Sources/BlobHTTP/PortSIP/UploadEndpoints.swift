// The reference's uploads: headers and queries in, answers out.

import BlobCore
import BlobStorage
import Foundation
import HTTPServerCore
import HTTPTypes
import NIOCore

extension PortSIPBlobs {
    func initiate(_ request: Request, _: Captures, _ caller: Caller) async throws -> Response {
        let name = try request.query.value("filename") { text throws(BlobError) in
            text.isEmpty ? nil : try FileName(parsing: text)
        }
        let isTemporary = try request.query.flag("temporary")
        let path = try request.query.value("path", parsedBy: RelativePath.init(parsing:))
        try await request.requireEmptyBody()
        if let name { request.record.note("name", name.text) }
        let upload = try await uploads.initiate(
            owner: caller.subject, name: name, isTemporary: isTemporary, path: path)
        request.record.note("upload", "\(upload.id)")
        return Response(.accepted, fields: progressFields(upload))
    }

    func append(_ request: Request, _ path: Captures, _ caller: Caller) async throws -> Response {
        let (id, asked) = try await asked(of: path, in: request, caller) { id throws(WireError) in
            try requireToken(of: id, in: request)
            return (guarded: try request.appendGuard(), body: try request.incomingBody())
        }
        let upload = try await uploads.append(asked.body, to: id, of: caller, guarded: asked.guarded)
        var fields = progressFields(upload)
        fields[.cacheControl] = "no-store"
        return Response(.nonAuthoritativeInformation, fields: fields)
    }

    func status(_ request: Request, _ path: Captures, _ caller: Caller) async throws -> Response {
        let upload = try await uploads.status(try uploadID(path, in: request), of: caller.subject)
        var fields = progressFields(upload)
        fields[.cacheControl] = "no-store"
        return Response(.noContent, fields: fields)
    }

    func complete(_ request: Request, _ path: Captures, _ caller: Caller) async throws -> Response {
        let (id, asked) = try await asked(of: path, in: request, caller) { id throws(WireError) in
            try requireToken(of: id, in: request)
            let guarded = try request.appendGuard()
            let digest = try request.query.value("digest", parsedBy: BlobDigest.init(parsing:))
            return (guarded: guarded, digest: digest, body: try request.incomingBody())
        }
        let file = try await uploads.complete(
            id, of: caller, with: asked.body, guarded: asked.guarded, digest: asked.digest)
        let item = FileItem(file, at: address)
        request.record.note(file)
        return Response(
            .created,
            fields: [
                .contentType: "application/json", .location: item.url, .reprDigest: reprDigest(file.digest),
            ],
            body: .json(item)
        )
    }

    func destroy(_ request: Request, _ path: Captures, _ caller: Caller) async throws -> Response {
        try await uploads.destroy(try uploadID(path, in: request), of: caller.subject)
        return Response(.noContent)
    }

    /// A request's parameters for an upload, read before the upload is claimed. The owner is checked before a fault of
    /// the request is told: nobody else learns that the upload is there.
    private func asked<Value>(
        of path: Captures, in request: Request, _ caller: Caller,
        _ read: (UploadID) throws(WireError) -> Value
    ) async throws -> (UploadID, Value) {
        let id = try uploadID(path, in: request)
        do throws(WireError) {
            return (id, try read(id))
        } catch {
            let upload = try await uploads.upload(id, of: caller.subject)
            if case .failed = upload.state, error.kind != .uploadInvalid { throw BlobError.uploadFailed }
            throw error
        }
    }

    private func uploadID(_ path: Captures, in request: Request) throws(BlobError) -> UploadID {
        guard let id = UploadID(parsing: String(path["id"])) else { throw .uploadUnknown }
        request.record.note("upload", "\(id)")
        return id
    }

    private func requireToken(of id: UploadID, in request: Request) throws(WireError) {
        guard let token = request.fields[.uploadToken] else {
            throw WireError(
                .uploadInvalid,
                "The header 'PortSIP-Upload-Token' is missing: send the token that the upload began with."
            )
        }
        guard uploadTokens.isToken(token, of: id) else {
            throw WireError(
                .uploadInvalid,
                "The header 'PortSIP-Upload-Token' is not this upload's: its status tells the right one."
            )
        }
    }

    private func progressFields(_ upload: Upload) -> HTTPFields {
        [
            .uploadID: upload.id.description,
            .uploadToken: uploadTokens.token(of: upload.id),
            .range: uploadRange(upload.offset),
            .uploadOffset: String(upload.offset),
            .uploadExpires: HTTPDate.text(upload.expires),
            .location: address.upload(upload.id),
        ]
    }
}

extension Request {
    /// Bytes sent where none belong would be lost without a word.
    fileprivate func requireEmptyBody() async throws(WireError) {
        let first: Int
        do {
            if let length = body.length {
                first = Int(clamping: length)
            } else {
                first = try await body.next()?.reduce(0) { $0 + $1.readableBytes } ?? 0
            }
        } catch {
            throw WireError(.badRequest, "The body is not what its headers say: start the upload without one.")
        }
        guard first == 0 else {
            throw .invalid(
                "Starting an upload takes no body: send the bytes to the upload's 'append'."
            )
        }
    }

    fileprivate func incomingBody() throws(WireError) -> IncomingBody {
        // Some clients name a type for no bytes at all.
        if body.length != 0, let type = fields[.contentType] {
            let bytes = type.utf8.span
            let end = bytes.firstIndex(of: UInt8(ascii: ";"), in: 0..<bytes.count) ?? bytes.count
            guard bytes.equals("application/octet-stream", bytes.trimmed(0..<end)) else {
                throw WireError(
                    .unsupportedMediaType, "The body's Content-Type is 'application/octet-stream', or is left out."
                )
            }
        }
        let body = body
        return IncomingBody(length: body.length) { try await body.next() }
    }

    /// The guard that the client put on its bytes, if any.
    ///
    /// - Throws: ``WireError`` for a header that is malformed.
    fileprivate func appendGuard() throws(WireError) -> AppendGuard? {
        if let text = fields[.uploadOffset] {
            guard let offset = Int64(decimal: text) else {
                throw .invalid("The header 'Upload-Offset' is a decimal number of bytes.")
            }
            return .offset(offset)
        }
        guard let text = fields[.contentRange] else { return nil }
        // `A-B` alone is the form of this API's lineage.
        let form = text.utf8.contains(UInt8(ascii: "/")) ? text : "bytes \(text)/*"
        guard let range = ContentRange(parsing: form) else {
            throw .invalid(
                "The header 'Content-Range' is 'bytes A-B/TOTAL', 'bytes A-B/*' or 'A-B', A not greater than B."
            )
        }
        return .range(first: range.first, last: range.last)
    }
}

extension Query {
    fileprivate func flag(_ name: String) throws(WireError) -> Bool {
        switch try value(name) {
        case nil, "false": return false
        case "true": return true
        default: throw .invalid("The parameter '\(name)' is 'true' or 'false'.")
        }
    }
}

/// The digest as RFC 9530 writes it.
func reprDigest(_ digest: BlobDigest) -> String {
    "sha-256=:\(Data(digest.bytes).base64EncodedString()):"
}
