// An error as an answer: its status, headers and body.

import BlobCore
import Foundation
import HTTPServerCore
import HTTPTypes
import NIOCore

extension WireError {
    fileprivate var fields: HTTPFields {
        var fields: HTTPFields = [.contentType: "application/json"]
        if kind == .unauthorized { fields[.wwwAuthenticate] = "Bearer" }
        if case .laterAfter(let seconds) = kind.row.prospect { fields[.retryAfter] = String(seconds) }
        switch detail {
        case .offset(let offset):
            fields[.uploadOffset] = String(offset)
            fields[.range] = uploadRange(offset)
        case .size(let size): fields[.contentRange] = ContentRange.unsatisfied(size: size)
        case .retryAfter(let seconds): fields[.retryAfter] = String(seconds)
        case .allowedMethods(let methods): fields[.allow] = methods.joined(separator: ", ")
        case .content, nil: break
        }
        return fields
    }
}

/// The body of every error: `{"errors":[{"code":"…","message":"…","detail":…}]}`.
private struct ErrorBody: Encodable {
    struct Item: Encodable {
        let code: String
        let message: String
        let detail: Detail?
    }

    struct Detail: Encodable {
        var digest: String?
        var size: Int64?
        var offset: Int64?
    }

    let errors: [Item]

    init(_ error: WireError) {
        let detail: Detail? =
            switch error.detail {
            case .offset(let offset): Detail(offset: offset)
            case .content(let digest, let size): Detail(digest: digest.hex, size: size)
            case .size(let size): Detail(size: size)
            case .retryAfter, .allowedMethods, nil: nil
            }
        errors = [Item(code: error.kind.row.code.rawValue, message: error.message, detail: detail)]
    }
}

extension Response {
    init(_ error: WireError) {
        self.init(error.kind.row.status, fields: error.fields, body: .json(ErrorBody(error)))
    }
}

extension Response.Body {
    /// A body of JSON; times are RFC 3339 in UTC, keys are sorted so that answers compare.
    static func json(_ value: some Encodable) -> Response.Body {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        guard let data = try? encoder.encode(value) else { preconditionFailure("\(type(of: value)) encodes to JSON") }
        return .buffer(ByteBuffer(bytes: data))
    }
}

extension Response {
    /// What is so now, and may be otherwise at once.
    static func json(_ value: some Encodable) -> Response {
        Response(.ok, fields: [.contentType: "application/json", .cacheControl: "no-store"], body: .json(value))
    }
}

/// The `Range` of an upload: `0-<last byte>`, and `0-0` for an empty one, which the lineage of this API cannot tell
/// from one byte; `Upload-Offset` beside it can.
func uploadRange(_ offset: Int64) -> String {
    "0-\(max(0, offset - 1))"
}
