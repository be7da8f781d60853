// What a person at the command line may do about an error.

import BlobClient
import BlobCore

extension BlobClientError {
    /// `nil` where there is nothing but to wait.
    var advice: String? {
        switch self {
        case .refused(let refusal): refusal.advice
        case .connection:
            "see that the server runs and the address is right, then run the same command again: it goes on"
        case .untrusted:
            "name the certificate of its authority with --ca FILE, and see that this machine's clock is right"
        case .unexpectedAnswer: ServerRefusal.adviceOnAddress
        case .endless: "if the blob may have that many, take more with --largest SIZE"
        case .fileChanged: "upload it again when nobody writes to it"
        case .streamLost: "make the stream anew"
        case .wrongDigest: "try again; if it stays so, tell the server's operator, who may run 'blobd check'"
        case .invalidAddress, .certificates, .file: nil
        }
    }
}

extension ServerRefusal {
    fileprivate static let adviceOnAddress = "see that the address is that of a blob server, without '/api'"

    fileprivate var advice: String? {
        switch status {
        case 300...399: "the server is at another address now: give that one, or https:// in place of http://"
        case 401: "the token is missing, mistyped or expired: give BLOB_TOKEN, or store one with 'blob login'"
        case 403 where code == ErrorCode.denied.rawValue:
            "delete files with 'blob delete', or ask for more quota"
        case 403: "ask the server's operator for a token with this scope"
        case 404 where code.isEmpty: Self.adviceOnAddress
        // Told apart from a server that is busy.
        case 429 where code == ErrorCode.tooManyRequests.rawValue:
            "see what is open with 'blob status', and end it with 'blob resume' or 'blob cancel'"
        case 413: "the file is larger than the server takes"
        case 500...599: requestID.map { "if it stays so, tell the server's operator the request's id, \($0)" }
        default: nil
        }
    }
}
