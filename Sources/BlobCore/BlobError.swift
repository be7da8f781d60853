// What can go wrong, classified where it is understood; the HTTP status is the server's to choose, in one place.

/// An error that a client may be told about.
///
/// The message names what was wrong and what would be right, and never holds a path on disk, a token or an address.
public struct BlobError: Error, Equatable, Sendable {
    /// What kind of error it is.
    public enum Code: Sendable, CaseIterable {
        case badRequest
        case validationFailed
        case unauthorized
        case forbidden
        case notFound
        case methodNotAllowed
        case unsupportedMediaType
        case headersTooLarge
        case uriTooLong
        case preconditionFailed

        case uploadUnknown
        case uploadInvalid
        /// The storage could not keep its word for this upload; it will never complete.
        case uploadFailed
        /// A newer request on the same upload ended this one.
        case uploadSuperseded
        case offsetMismatch
        case rangeInvalid
        /// An announced range and the body's length disagree.
        case lengthMismatch
        /// More bytes than the largest blob that the server takes.
        case tooLarge
        case digestInvalid

        case blobUnknown
        /// The blob is known, but its bytes are not what they were.
        case blobCorrupt
        case fileUnknown

        case quotaExceeded
        case tooManyUploads
        case insufficientStorage
        case unavailable
        case internalError
    }

    /// What an error carries beside its message.
    public enum Detail: Equatable, Sendable {
        /// The upload's true offset, in bytes.
        case offset(Int64)
        /// What the upload's bytes really are.
        case content(digest: BlobDigest, size: Int64)
        /// The size of a blob, in bytes, for a range that it cannot satisfy.
        case size(Int64)
        /// When trying again makes sense.
        case retryAfter(seconds: Int)
        /// The methods that the path knows.
        case allowedMethods([String])
    }

    public let code: Code
    public let message: String
    public let detail: Detail?

    public init(_ code: Code, _ message: String, detail: Detail? = nil) {
        self.code = code
        self.message = message
        self.detail = detail
    }
}

extension BlobError.Code {
    /// The code's name on the wire. Two codes may share one: the reference tells them apart by the status.
    public var name: String {
        switch self {
        case .badRequest: "BAD_REQUEST"
        case .validationFailed: "VALIDATE_FAILED"
        case .unauthorized: "UNAUTHORIZED"
        case .forbidden: "FORBIDDEN"
        case .notFound: "NOT_FOUND"
        case .methodNotAllowed: "METHOD_NOT_ALLOWED"
        case .unsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE"
        case .headersTooLarge: "HEADERS_TOO_LARGE"
        case .uriTooLong: "URI_TOO_LONG"
        case .preconditionFailed: "PRECONDITION_FAILED"
        case .uploadUnknown: "BLOB_UPLOAD_UNKNOWN"
        case .uploadInvalid: "BLOB_UPLOAD_INVALID"
        case .uploadFailed: "BLOB_UPLOAD_FAILED"
        case .uploadSuperseded: "BLOB_UPLOAD_SUPERSEDED"
        case .offsetMismatch: "OFFSET_MISMATCH"
        case .rangeInvalid: "RANGE_INVALID"
        case .lengthMismatch, .tooLarge: "SIZE_INVALID"
        case .digestInvalid: "DIGEST_INVALID"
        case .blobUnknown: "BLOB_UNKNOWN"
        case .blobCorrupt: "BLOB_CORRUPT"
        case .fileUnknown: "FILE_UNKNOWN"
        case .quotaExceeded: "DENIED"
        case .tooManyUploads: "TOOMANYREQUESTS"
        case .insufficientStorage: "INSUFFICIENT_STORAGE"
        case .unavailable: "UNAVAILABLE"
        case .internalError: "INTERNAL_ERROR"
        }
    }
}

extension BlobError: CustomStringConvertible {
    public var description: String { "\(code.name): \(message)" }
}
