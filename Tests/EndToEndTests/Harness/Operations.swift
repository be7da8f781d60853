// The operations of the API as requests. Nothing here goes beyond the reference API.

import Foundation

/// The answer to initiating: the names under which bytes can be sent.
struct Upload: Sendable {
    let id: String
    let token: String

    init(id: String, token: String) {
        (self.id, self.token) = (id, token)
    }

    init(_ response: Response) throws {
        guard response.status == 202, let id = response.headers["PortSIP-Upload-ID"],
            let token = response.headers["PortSIP-Upload-Token"]
        else { throw Failure("no upload was started: \(response)") }
        self.init(id: id, token: token)
    }
}

extension Request {
    static func initiate(filename: String? = nil, temporary: Bool? = nil) -> Request {
        let parameters = [filename.map { "filename=" + encoded($0) }, temporary.map { "temporary=\($0)" }]
        return Request(method: "POST", target: "/api/blobs/uploads" + query(parameters.compactMap { $0 }))
    }

    static func append(to upload: Upload, _ body: Body, _ headers: Headers = [:]) -> Request {
        writing(to: upload, "/append", body, headers)
    }

    static func append(to upload: Upload, _ bytes: [UInt8], _ headers: Headers = [:]) -> Request {
        append(to: upload, .bytes(bytes), headers)
    }

    static func status(of upload: Upload) -> Request {
        Request(method: "GET", target: "/api/blobs/uploads/\(upload.id)/status")
    }

    static func complete(
        _ upload: Upload, digest: String? = nil, _ body: Body = .none, _ headers: Headers = [:]
    ) -> Request {
        writing(to: upload, "/complete" + query(digest.map { ["digest=" + $0] } ?? []), body, headers)
    }

    static func destroy(_ upload: Upload) -> Request {
        Request(method: "POST", target: "/api/blobs/uploads/\(upload.id)/destroy")
    }

    static func download(_ digest: String, _ headers: Headers = [:]) -> Request {
        Request(method: "GET", target: "/api/blobs/\(digest)", headers: headers)
    }

    static func head(_ digest: String, _ headers: Headers = [:]) -> Request {
        Request(method: "HEAD", target: "/api/blobs/\(digest)", headers: headers)
    }

    /// `parameters` are sent as they are: percent-encode them where needed.
    static func files(_ parameters: String...) -> Request {
        Request(method: "GET", target: "/api/files" + query(parameters))
    }

    static func file(_ id: String) -> Request {
        Request(method: "GET", target: "/api/files/\(encoded(id))")
    }

    static func destroyFile(_ id: String) -> Request {
        Request(method: "POST", target: "/api/files/\(encoded(id))/destroy")
    }

    static func get(_ target: String) -> Request {
        Request(method: "GET", target: target)
    }

    /// Everything but RFC 3986's unreserved characters percent-encoded.
    static func encoded(_ text: String) -> String {
        let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        return text.utf8.map { byte in
            unreserved.contains(byte) ? String(UnicodeScalar(byte)) : String(format: "%%%02X", byte)
        }.joined()
    }

    private static func query(_ parameters: [String]) -> String {
        parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&")
    }

    private static func writing(to upload: Upload, _ action: String, _ body: Body, _ headers: Headers) -> Request {
        var usual: Headers = ["PortSIP-Upload-Token": upload.token]
        if case .none = body {} else { usual.add("Content-Type", "application/octet-stream") }
        return Request(
            method: "POST", target: "/api/blobs/uploads/\(upload.id)" + action, headers: usual.overridden(by: headers),
            body: body)
    }
}
