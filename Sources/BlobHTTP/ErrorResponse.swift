// The one place where an error becomes an answer.

import BlobCore
import Foundation
import HTTPServerCore
import HTTPTypes
import NIOCore

extension BlobError {
    var status: HTTPResponse.Status {
        switch code {
        case .badRequest, .validationFailed, .uploadInvalid, .lengthMismatch, .digestInvalid: .badRequest
        case .unauthorized: .unauthorized
        case .forbidden, .quotaExceeded: .forbidden
        case .notFound, .uploadUnknown, .blobUnknown, .fileUnknown: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .uploadSuperseded, .offsetMismatch: .conflict
        case .uploadFailed: .gone
        case .preconditionFailed: .preconditionFailed
        case .tooLarge: .contentTooLarge
        case .uriTooLong: .uriTooLong
        case .unsupportedMediaType: .unsupportedMediaType
        case .rangeInvalid: .rangeNotSatisfiable
        case .tooManyUploads: .tooManyRequests
        case .headersTooLarge: .requestHeaderFieldsTooLarge
        case .blobCorrupt, .internalError: .internalServerError
        case .unavailable: .serviceUnavailable
        case .insufficientStorage: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
        }
    }

    fileprivate var fields: HTTPFields {
        var fields: HTTPFields = [.contentType: "application/json"]
        switch code {
        case .unauthorized: fields[.wwwAuthenticate] = "Bearer"
        case .unavailable, .tooManyUploads: fields[.retryAfter] = "10"
        default: break
        }
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

extension BlobError {
    /// What a connection refuses by itself.
    init(_ refusal: Refusal) {
        self =
            switch refusal {
            case .notHTTP: BlobError(.badRequest, "These bytes are not an HTTP/1.1 request.")
            case .requestLineTooLong: .uriTooLong
            case .headersTooLarge: .headersTooLarge
            case .tooManyFilesOpen:
                BlobError(.unavailable, "The server has too many files open to send this one: ask again later.")
            }
    }

    static let headersTooLarge = BlobError(
        .headersTooLarge, "The request's header is larger than this server takes."
    )

    static let uriTooLong = BlobError(.uriTooLong, "The request's target is longer than this server takes.")
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

    init(_ error: BlobError) {
        let detail: Detail? =
            switch error.detail {
            case .offset(let offset): Detail(offset: offset)
            case .content(let digest, let size): Detail(digest: digest.hex, size: size)
            case .size(let size): Detail(size: size)
            case .retryAfter, .allowedMethods, nil: nil
            }
        errors = [Item(code: error.code.name, message: error.message, detail: detail)]
    }
}

extension Response {
    init(_ error: BlobError) {
        self.init(error.status, fields: error.fields, body: .json(ErrorBody(error)))
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

/// The `Range` of an upload: `0-<last byte>`, and `0-0` for an empty one, which the lineage of this API cannot tell
/// from one byte; `Upload-Offset` beside it can.
func uploadRange(_ offset: Int64) -> String {
    "0-\(max(0, offset - 1))"
}
