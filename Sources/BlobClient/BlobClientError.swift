// What can go wrong between a client and its server.

public import BlobCore

/// Why a call failed, after everything that could be tried again was.
public enum BlobClientError: Error, Equatable, Sendable {
    /// The server refused, and asking again would change nothing.
    case refused(ServerRefusal)
    /// No connection, or one that broke.
    case connection(String)
    /// The server's certificate is not trusted.
    case untrusted(String)
    /// The answer is not that of a server with this API.
    case unexpectedAnswer(String)
    /// A blob of which the server announces no size has more bytes than are taken then.
    case endless(limit: Int64)
    case invalidAddress(String)
    /// The file of trusted certificates cannot be used.
    case certificates(String)
    /// A local file could not be read or written.
    case file(path: String, problem: String)
    /// The file was written to while it was uploaded.
    case fileChanged(path: String)
    /// The server no longer has the bytes that it received, and the stream cannot be read again.
    case streamLost
    /// The bytes that came are not those that were asked for, or those that arrived not those that were sent.
    case wrongDigest(expected: BlobDigest, found: BlobDigest?)
}

/// A server's answer that says no.
public struct ServerRefusal: Equatable, Sendable {
    /// HTTP's status code.
    public var status: Int
    /// The server's name for the error, such as `BLOB_UNKNOWN`; empty when it gave none.
    public var code: String
    /// The server's words.
    public var message: String
    /// When the server asks to come back.
    public var retryAfter: Duration?
    /// What the server asked for, to name it in a report.
    public var requestID: String?

    public init(status: Int, code: String, message: String, retryAfter: Duration? = nil, requestID: String? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
        self.requestID = requestID
    }

    /// Whether the same request may succeed later: RFC 9110, §15.5 and §15.6, and 507, which ends when there is room.
    var isPassing: Bool {
        switch status {
        case 408, 425, 429, 500, 502, 503, 504, 507: code != ErrorCode.blobCorrupt.rawValue
        default: false
        }
    }

    /// Whether it is the token that is refused: with another one the same upload may go on.
    var isOfToken: Bool {
        status == 401 || status == 403 && code == ErrorCode.forbidden.rawValue
    }
}

extension BlobClientError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(let refusal): refusal.description
        case .connection(let problem): problem
        case .untrusted(let problem): "the server's certificate is not trusted: \(problem)"
        case .unexpectedAnswer(let problem): "the server's answer makes no sense: \(problem)"
        case .endless(let limit): "the server announces no size, and sends more than \(limit) bytes"
        case .invalidAddress(let address):
            "'\(address.withoutCredentials)' is no server's address; one is https://files.example.com:8887"
        case .certificates(let problem): "the certificates to trust cannot be used: \(problem)"
        case .file(let path, let problem): "\(path): \(problem)"
        case .fileChanged(let path): "\(path) was changed while it was uploaded"
        case .streamLost: "the server lost what it had received, and a stream cannot be read a second time"
        case .wrongDigest(let expected, let found):
            "the bytes are not those of \(expected)" + (found.map { ", but of \($0)" } ?? "")
        }
    }

    /// Whether the next file would meet the same: the server is gone or not trusted, the token is refused, or there is
    /// no room, no quota, or no further upload for its owner. An app that sends many files stops at the first such
    /// error, which comes only when all tries are used up.
    ///
    /// `false` where it is about one file, or nobody can tell.
    public var concernsEveryFile: Bool {
        switch self {
        case .connection, .untrusted, .invalidAddress, .certificates: true
        case .refused(let refusal): [401, 403, 429, 502, 503, 504, 507].contains(refusal.status)
        case .unexpectedAnswer, .endless, .file, .fileChanged, .streamLost, .wrongDigest: false
        }
    }
}

extension ServerRefusal: CustomStringConvertible {
    public var description: String {
        let name = code.isEmpty ? "" : " \(code)"
        let words = message.isEmpty ? "" : ": \(message)"
        return "the server answered \(status)\(name)\(words)"
    }
}
