// What the network, TLS and HTTP throw, as this client's errors.

import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

extension S3Error {
    static let cancelled = S3Error(.cancelled, message: "the task was cancelled")
    static let broken = S3Error(.unreachable, message: "the connection to the store broke")

    /// Everything that is thrown while a request is sent or its reply is read.
    init(network error: any Error) {
        if Task.isCancelled {
            self = .cancelled
            return
        }
        switch error {
        case let error as S3Error: self = error
        case is CancellationError: self = .cancelled
        case NIOSSLError.handshakeFailed(let reason) where "\(reason)".contains("CERTIFICATE_VERIFY_FAILED"):
            self.init(.untrusted, message: "the store's certificate was not signed by an authority that is trusted")
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            self.init(.untrusted, message: "the store's certificate is for another host")
        case let error as HTTPClientError: self.init(error)
        case HTTPParserError.invalidEOFState, is ChannelError: self = .broken
        case NIOSSLError.handshakeFailed:
            self.init(
                .unreachable, message: "the store answers without TLS, or one that is not known here; see its address")
        case is HTTPParserError:
            self.init(
                .unexpectedReply, message: "the store's reply is no HTTP; with TLS, its address begins with https://")
        case let error as NIOConnectionError:
            self.init(.unreachable, message: "cannot connect to \(error.host), port \(error.port): \(error.reason)")
        case let error as IOError:
            self.init(.unreachable, message: "the connection to the store broke: \(error.reasonOfSystem)")
        default: self = .broken
        }
    }

    private init(_ error: HTTPClientError) {
        switch error {
        case .connectTimeout, .tlsHandshakeTimeout:
            self.init(.unreachable, message: "the store takes no connection in time")
        case .readTimeout, .writeTimeout: self.init(.timeout, message: "the store has gone silent")
        case .deadlineExceeded: self.init(.timeout, message: "the store took too long")
        case .getConnectionFromPoolTimeout:
            self.init(.throttled, message: "all connections to the store are in use")
        case .remoteConnectionClosed: self = .broken
        case .alreadyShutdown, .cancelled: self.init(.cancelled, message: "the client was shut down")
        default:
            self = .broken
        }
    }
}

extension IOError {
    /// In the system's words.
    fileprivate var reasonOfSystem: String { String(cString: strerror(errnoCode)) }
}

extension NIOConnectionError {
    fileprivate var reason: String {
        if dnsAError != nil || dnsAAAAError != nil, connectionErrors.isEmpty { return "there is no such host" }
        return (connectionErrors.first?.error as? IOError)?.reasonOfSystem ?? "no answer"
    }
}
