// What can go wrong between this client and its store.

/// Why a call failed, after everything that could be tried again was.
///
/// A call that throws may still have had its effect: the reply may have been lost on its way. Which ones, their own
/// descriptions say.
public struct S3Error: Error, Sendable, Hashable {
    /// The kinds that a caller may tell apart.
    public enum Kind: Sendable, Hashable, CaseIterable {
        /// There is no object under this key.
        case notFound
        case noSuchBucket
        /// The multipart upload was completed or aborted, or never begun.
        case noSuchUpload
        /// The keys are wrong, or may not do this.
        case accessDenied
        /// Too much at once: the store asks for less, or no connection became free in time.
        case throttled
        /// The store failed: 5xx.
        case serverError
        /// The store took too long.
        case timeout
        /// No connection, one that broke, or none was tried because all before it had failed.
        case unreachable
        /// The store refuses the request, for a reason that has no kind of its own: see the code.
        case badRequest
        /// A part other than the last has less than 5 MiB.
        case entityTooSmall
        /// An object or part is larger than the store takes.
        case entityTooLarge
        /// A part that was to be put together is not there, or is another one.
        case invalidPart
        /// The range begins behind the object's end.
        case invalidRange
        /// The object is no longer the one that was begun to be read.
        case preconditionFailed
        /// The store received other bytes than were announced.
        case checksumMismatch
        /// This machine's clock and the store's are too far apart.
        case clockSkewed
        /// The bucket is elsewhere; the message says where, when the store does.
        case wrongEndpoint
        /// The store's certificate is not trusted.
        case untrusted
        /// The reply does not follow S3, or only in part.
        case unexpectedReply
        /// The task was cancelled.
        case cancelled
        /// The configuration cannot be used; the message says what would be right.
        case invalidConfiguration
    }

    public var kind: Kind
    /// The store's name for the error, such as `NoSuchKey`; empty when it gave none.
    public var code: String
    /// In words, for the operator.
    public var message: String
    /// HTTP's status code; `nil` when no reply came.
    public var status: Int?
    /// The store's name for the request in its own log.
    public var requestID: String?

    public init(_ kind: Kind, code: String = "", message: String, status: Int? = nil, requestID: String? = nil) {
        self.kind = kind
        self.code = code
        self.message = message
        self.status = status
        self.requestID = requestID
    }

    /// Whether the same call may succeed later. The client's own tries are over when an error is thrown.
    public var isRetryable: Bool {
        switch kind {
        case .throttled, .serverError, .timeout, .unreachable, .clockSkewed: true
        default: false
        }
    }
}

extension S3Error: CustomStringConvertible {
    public var description: String {
        let origin = [status.map(String.init), code.isEmpty ? nil : code].compactMap(\.self).joined(separator: " ")
        let request = requestID.map { " (request \($0))" } ?? ""
        return (origin.isEmpty ? message : "\(origin): \(message)") + request
    }
}

extension S3Error {
    /// What a reply says that is no success.
    ///
    /// - Parameters:
    ///   - code: from the body; empty where there was none, as after HEAD.
    ///   - status: the HTTP status, which decides when the code is unknown. A reply 200 may carry an error, too.
    init(refusal code: String, message: String, status: Int, requestID: String?) {
        let kind = Self.kinds[code] ?? Self.kind(ofStatus: status)
        let words = message.isEmpty ? "the store answered \(status)" : message
        self.init(kind, code: code, message: words, status: status, requestID: requestID)
    }

    private static let kinds: [String: Kind] = [
        "NoSuchKey": .notFound, "NoSuchBucket": .noSuchBucket, "NoSuchUpload": .noSuchUpload,
        "AccessDenied": .accessDenied, "AllAccessDisabled": .accessDenied, "InvalidAccessKeyId": .accessDenied,
        "SignatureDoesNotMatch": .accessDenied, "ExpiredToken": .accessDenied, "InvalidToken": .accessDenied,
        "UserSuspended": .accessDenied,
        "SlowDown": .throttled, "TooManyRequests": .throttled, "RequestLimitExceeded": .throttled,
        "Throttling": .throttled, "ThrottlingException": .throttled, "BandwidthLimitExceeded": .throttled,
        "InternalError": .serverError, "ServiceUnavailable": .serverError, "OperationAborted": .serverError,
        "RequestTimeout": .timeout,
        "RequestTimeTooSkewed": .clockSkewed,
        "EntityTooSmall": .entityTooSmall, "EntityTooLarge": .entityTooLarge,
        "InvalidPart": .invalidPart, "InvalidPartOrder": .invalidPart, "InvalidRange": .invalidRange,
        "PreconditionFailed": .preconditionFailed,
        "BadDigest": .checksumMismatch, "XAmzContentSHA256Mismatch": .checksumMismatch,
        "XAmzContentChecksumMismatch": .checksumMismatch, "InvalidDigest": .checksumMismatch,
        "PermanentRedirect": .wrongEndpoint, "TemporaryRedirect": .wrongEndpoint, "Redirect": .wrongEndpoint,
        "AuthorizationHeaderMalformed": .wrongEndpoint, "IllegalLocationConstraintException": .wrongEndpoint,
    ]

    private static func kind(ofStatus status: Int) -> Kind {
        switch status {
        case 300..<400: .wrongEndpoint
        case 401, 403: .accessDenied
        case 404: .notFound
        case 408: .timeout
        case 412: .preconditionFailed
        case 413: .entityTooLarge
        case 416: .invalidRange
        case 429: .throttled
        case 400..<500: .badRequest
        case 500..<600: .serverError
        default: .unexpectedReply
        }
    }
}
