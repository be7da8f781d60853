// The error answers of the contract: status and code belong together.

import Testing

struct Refusal: Sendable, CustomTestStringConvertible {
    let status: Int
    let code: String

    init(_ status: Int, _ code: String) {
        (self.status, self.code) = (status, code)
    }

    var testDescription: String { "\(status) \(code)" }

    static let badRequest = Refusal(400, "BAD_REQUEST")
    static let uploadInvalid = Refusal(400, "BLOB_UPLOAD_INVALID")
    static let validateFailed = Refusal(400, "VALIDATE_FAILED")
    static let sizeInvalid = Refusal(400, "SIZE_INVALID")
    static let digestInvalid = Refusal(400, "DIGEST_INVALID")
    static let unauthorized = Refusal(401, "UNAUTHORIZED")
    static let forbidden = Refusal(403, "FORBIDDEN")
    static let denied = Refusal(403, "DENIED")
    static let notFound = Refusal(404, "NOT_FOUND")
    static let uploadUnknown = Refusal(404, "BLOB_UPLOAD_UNKNOWN")
    static let blobUnknown = Refusal(404, "BLOB_UNKNOWN")
    static let fileUnknown = Refusal(404, "FILE_UNKNOWN")
    static let methodNotAllowed = Refusal(405, "METHOD_NOT_ALLOWED")
    static let offsetMismatch = Refusal(409, "OFFSET_MISMATCH")
    static let superseded = Refusal(409, "BLOB_UPLOAD_SUPERSEDED")
    static let uploadFailed = Refusal(410, "BLOB_UPLOAD_FAILED")
    static let preconditionFailed = Refusal(412, "PRECONDITION_FAILED")
    static let tooLarge = Refusal(413, "SIZE_INVALID")
    static let uriTooLong = Refusal(414, "URI_TOO_LONG")
    static let unsupportedMediaType = Refusal(415, "UNSUPPORTED_MEDIA_TYPE")
    static let rangeInvalid = Refusal(416, "RANGE_INVALID")
    static let tooManyRequests = Refusal(429, "TOOMANYREQUESTS")
    static let headersTooLarge = Refusal(431, "HEADERS_TOO_LARGE")
    static let unavailable = Refusal(503, "UNAVAILABLE")
    static let blobCorrupt = Refusal(500, "BLOB_CORRUPT")
    static let insufficientStorage = Refusal(507, "INSUFFICIENT_STORAGE")
}

/// The answer is this refusal, in the one form that errors have; its message must contain `naming`.
func expect(
    _ response: Response, is refusal: Refusal, naming: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(response.status == refusal.status, "\(response)", sourceLocation: sourceLocation)
    #expect(
        response.json?["errors"]?[0]?["code"]?.string == refusal.code, "\(response)", sourceLocation: sourceLocation)
    if let naming {
        let message = response.json?["errors"]?[0]?["message"]?.string ?? ""
        #expect(message.contains(naming), "the message must name it: \(response)", sourceLocation: sourceLocation)
    }
}

/// The answer tells how far the upload is: `Range` and the exact `Upload-Offset` beside it.
func expect(
    _ response: Response, tellsOffset offset: Int, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(response.headers["Upload-Offset"] == String(offset), "\(response)", sourceLocation: sourceLocation)
    let range = "0-\(max(0, offset - 1))"
    #expect(response.headers["Range"] == range, "\(response)", sourceLocation: sourceLocation)
}

/// The answer is one of these refusals: for requests whose contract leaves open which of their faults is told.
func expect(
    _ response: Response, isOneOf refusals: [Refusal], sourceLocation: SourceLocation = #_sourceLocation
) {
    let code = response.json?["errors"]?[0]?["code"]?.string
    let fits = refusals.contains { $0.status == response.status && $0.code == code }
    #expect(fits, "\(response)", sourceLocation: sourceLocation)
}
