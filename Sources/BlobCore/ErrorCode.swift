// The names of errors on the wire, which a server and its clients share.

/// What an error answer is called in its `code`.
public enum ErrorCode: String, CaseIterable, Sendable {
    case badRequest = "BAD_REQUEST"
    case validateFailed = "VALIDATE_FAILED"
    case unauthorized = "UNAUTHORIZED"
    case forbidden = "FORBIDDEN"
    case denied = "DENIED"
    case notFound = "NOT_FOUND"
    case methodNotAllowed = "METHOD_NOT_ALLOWED"
    case preconditionFailed = "PRECONDITION_FAILED"
    case uriTooLong = "URI_TOO_LONG"
    case unsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"
    case headersTooLarge = "HEADERS_TOO_LARGE"
    case notImplemented = "NOT_IMPLEMENTED"

    case uploadUnknown = "BLOB_UPLOAD_UNKNOWN"
    case uploadInvalid = "BLOB_UPLOAD_INVALID"
    case uploadFailed = "BLOB_UPLOAD_FAILED"
    case uploadSuperseded = "BLOB_UPLOAD_SUPERSEDED"
    case offsetMismatch = "OFFSET_MISMATCH"
    case rangeInvalid = "RANGE_INVALID"
    /// Two meanings, which the reference tells apart by the status.
    case sizeInvalid = "SIZE_INVALID"
    case digestInvalid = "DIGEST_INVALID"

    case blobUnknown = "BLOB_UNKNOWN"
    case blobCorrupt = "BLOB_CORRUPT"
    case fileUnknown = "FILE_UNKNOWN"

    case tooManyRequests = "TOOMANYREQUESTS"
    case insufficientStorage = "INSUFFICIENT_STORAGE"
    case unavailable = "UNAVAILABLE"
    case internalError = "INTERNAL_ERROR"
}
