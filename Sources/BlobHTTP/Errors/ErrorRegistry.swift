// All error answers that there are: one row for each, as the table of docs/api.md has them.

import BlobCore
import HTTPTypes

/// A kind of error answer. A test holds the rows against docs/api.md and openapi.json.
enum ErrorKind: CaseIterable {
    case badRequest, validationFailed, uploadInvalid, lengthMismatch, digestInvalid
    case unauthorized
    case forbidden, quotaExceeded
    case uploadUnknown, blobUnknown, fileUnknown, notFound
    case methodNotAllowed
    case offsetMismatch, uploadSuperseded
    case uploadFailed
    case preconditionFailed
    case tooLarge
    case uriTooLong
    case unsupportedMediaType
    case rangeInvalid
    case tooManyUploads, tooManyRequests
    case headersTooLarge
    case blobCorrupt, internalError
    case notImplemented
    case unavailable
    case insufficientStorage

    /// Whether the same request can end differently when it is sent again.
    enum Prospect: Equatable {
        case none
        case later
        /// The answer says when, unless it is told more exactly.
        case laterAfter(seconds: Int)
    }

    /// What a kind is, in the words of the reference.
    struct Row {
        let status: HTTPResponse.Status
        let code: ErrorCode
        let meaning: String
        /// What a client does about it; empty where there is nothing to do.
        let remedy: String
        let prospect: Prospect

        init(
            _ status: HTTPResponse.Status, _ code: ErrorCode, _ meaning: String, do remedy: String,
            _ prospect: Prospect = .none
        ) {
            (self.status, self.code, self.meaning) = (status, code, meaning)
            (self.remedy, self.prospect) = (remedy, prospect)
        }
    }

    var row: Row {
        guard let row = Self.rows[self] else { preconditionFailure("\(self) has a row") }
        return row
    }

    private static let rows: [ErrorKind: Row] = [
        .badRequest: Row(.badRequest, .badRequest, "not well-formed HTTP", do: "correct the client"),
        .validationFailed:
            Row(
                .badRequest, .validateFailed,
                "a parameter or header is wrong, or a body where none belongs; the message names it",
                do: "correct the request"),
        .uploadInvalid:
            Row(
                .badRequest, .uploadInvalid, "the upload token is missing or wrong",
                do: "send the one of this upload; status tells it"),
        .lengthMismatch:
            Row(
                .badRequest, .sizeInvalid, "`Content-Range` and the body's length differ",
                do: "ask status, send the right range"),
        .digestInvalid:
            Row(
                .badRequest, .digestInvalid,
                "not a SHA-256 digest; in complete, also: the bytes have another one, which `detail` tells",
                do: "see [Complete](#complete)"),
        .unauthorized:
            Row(
                .unauthorized, .unauthorized, "the token is missing, unknown, expired or revoked",
                do: "get a valid one"),
        .forbidden: Row(.forbidden, .forbidden, "the token lacks the scope", do: "use one that has it"),
        .quotaExceeded:
            Row(.forbidden, .denied, "the subject's quota is used up", do: "delete files or give uploads up"),
        .uploadUnknown:
            Row(
                .notFound, .uploadUnknown,
                "no such open upload: unknown, another's, expired, completed or given up", do: "start a new one"),
        .blobUnknown: Row(.notFound, .blobUnknown, "no such blob here", do: "upload it"),
        .fileUnknown: Row(.notFound, .fileUnknown, "no such file of yours", do: ""),
        .notFound: Row(.notFound, .notFound, "no such path", do: "correct the client"),
        .methodNotAllowed:
            Row(
                .methodNotAllowed, .methodNotAllowed,
                "not a method of this path; `Allow` lists them, as the answer to `OPTIONS` does",
                do: "correct the client"),
        .offsetMismatch:
            Row(
                .conflict, .offsetMismatch, "the upload stands elsewhere than `Upload-Offset` said",
                do: "go on from the answer's `Upload-Offset`"),
        .uploadSuperseded:
            Row(
                .conflict, .uploadSuperseded, "a newer request took the upload over",
                do: "let that one go on, or ask status"),
        .uploadFailed:
            Row(.gone, .uploadFailed, "the server's disk failed under this upload", do: "start a new one"),
        .preconditionFailed:
            Row(.preconditionFailed, .preconditionFailed, "`If-Match` names another blob", do: ""),
        .tooLarge:
            Row(
                .contentTooLarge, .sizeInvalid, "more bytes than a blob may have; what came before stays",
                do: "give it up"),
        .uriTooLong: Row(.uriTooLong, .uriTooLong, "the path or query is too long", do: "shorten it"),
        .unsupportedMediaType:
            Row(
                .unsupportedMediaType, .unsupportedMediaType, "the body is not `application/octet-stream`",
                do: "correct the header"),
        .rangeInvalid:
            Row(
                .rangeNotSatisfiable, .rangeInvalid,
                "upload: the bytes do not continue it; download: no byte of the blob is in the range",
                do: "go on from `Upload-Offset`; ask within `Content-Range`"),
        .tooManyUploads:
            Row(
                .tooManyRequests, .tooManyRequests, "too many open uploads", do: "complete some or give them up",
                .laterAfter(seconds: 10)),
        .tooManyRequests:
            Row(
                .tooManyRequests, .tooManyRequests, "more requests than the server takes of one caller", do: "",
                .laterAfter(seconds: 1)),
        .headersTooLarge:
            Row(
                .requestHeaderFieldsTooLarge, .headersTooLarge,
                """
                the headers are too large or too many; over HTTP/2, a head above 16 KiB ends the connection without an \
                answer
                """,
                do: "send fewer"),
        .blobCorrupt:
            Row(
                .internalServerError, .blobCorrupt,
                "the blob's bytes were damaged on the disk and are not served",
                do: "upload them again, or ask the administrator"),
        .internalError:
            Row(
                .internalServerError, .internalError, "a fault in the server",
                do: "report it with the answer's `X-Request-ID`"),
        .notImplemented:
            Row(
                .notImplemented, .notImplemented, "a `Transfer-Encoding` other than `chunked`",
                do: "send the bytes as they are"),
        .unavailable:
            Row(
                .serviceUnavailable, .unavailable, "the server cannot serve this now", do: "",
                .laterAfter(seconds: 10)),
        .insufficientStorage:
            Row(
                HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"), .insufficientStorage,
                """
                the disk is full or near it: nothing is added; the offset stays true, downloads and deletions go on
                """,
                do: "", .later),
    ]
}
