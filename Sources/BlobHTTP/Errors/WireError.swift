// An error in the words of the wire.

import BlobCore
import HTTPServerCore

/// What a client is told of an error: its kind, a sentence, and more for programs.
public struct WireError: Error, Equatable {
    /// What an answer tells beside its message.
    enum Detail: Equatable {
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

    let kind: ErrorKind
    /// Names what is wrong and what would be right, and never holds a path on disk, a token or an address.
    public let message: String
    let detail: Detail?

    init(_ kind: ErrorKind, _ message: String, detail: Detail? = nil) {
        (self.kind, self.message, self.detail) = (kind, message, detail)
    }
}

extension WireError {
    static let headersTooLarge = WireError(
        .headersTooLarge, "The request's header is larger than this server takes."
    )

    static let uriTooLong = WireError(.uriTooLong, "The request's target is longer than this server takes.")

    static func invalid(_ message: String) -> WireError { WireError(.validationFailed, message) }

    /// What a connection refuses by itself.
    init(_ refusal: Refusal) {
        self =
            switch refusal {
            case .malformed(let fault): WireError(.badRequest, "These bytes are not an HTTP request: \(fault).")
            case .unknownTransferCoding:
                WireError(
                    .notImplemented,
                    "The only 'Transfer-Encoding' that this server knows is 'chunked': send the bytes as they are."
                )
            case .requestLineTooLong: .uriTooLong
            case .headersTooLarge: .headersTooLarge
            }
    }

    /// What was thrown on the way to an answer. What nobody has classified is a fault of the server.
    init(thrown error: any Error) {
        self =
            switch error {
            case let error as WireError: error
            case let error as BlobError: WireError(error)
            default:
                WireError(.internalError, "The server failed. Its log tells why, beside the answer's X-Request-ID.")
            }
    }
}
