// The errors of the network, TLS and HTTP, in sentences. The libraries' own words stay out of them: they hold names of
// types, and paths of the machine that built them.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import SystemPackage

extension BlobClientError {
    static let broken = BlobClientError.connection("the connection broke")

    init(network error: any Error) {
        switch error {
        case let error as BlobClientError: self = error
        case NIOSSLError.handshakeFailed(let reason): self.init(handshake: "\(reason)")
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            self = .untrusted("it is for another host")
        case let error as HTTPClientError: self = .connection(Self.text(of: error))
        case is NIOTooManyBytesError: self = .unexpectedAnswer("it is longer than any of this API")
        case HTTPParserError.headerOverflow: self = .unexpectedAnswer("its headers are longer than those of this API")
        case HTTPParserError.invalidEOFState: self = .broken
        case is HTTPParserError:
            self = .connection("what answers speaks no HTTP; if it speaks TLS, its address begins with https://")
        case let error as IOError: self = .connection(Self.text(of: Errno(rawValue: error.errnoCode)))
        case let error as NIOConnectionError: self = .connection(Self.text(of: error))
        default: self = .broken
        }
    }

    /// - Parameter reason: BoringSSL's, which names its errors in capitals.
    private init(handshake reason: String) {
        if reason.contains("CERTIFICATE_VERIFY_FAILED") {
            self = .untrusted("no authority that is trusted here has signed it, or its time is over")
        } else if reason.contains("WRONG_VERSION_NUMBER") || reason.contains("HTTP_REQUEST") {
            self = .unexpectedAnswer("it is no TLS; if the server speaks plain HTTP, its address begins with http://")
        } else if reason.contains("ALERT") || reason.contains("UNSUPPORTED_PROTOCOL") {
            self = .connection("the server and this client have no version of TLS in common")
        } else {
            self = .connection("the connection broke while TLS began")
        }
    }

    private static func text(of error: HTTPClientError) -> String {
        switch error {
        case .connectTimeout, .tlsHandshakeTimeout: "the server does not answer"
        case .readTimeout, .writeTimeout, .deadlineExceeded: "the connection has gone silent"
        case .getConnectionFromPoolTimeout: "all connections to the server are in use"
        case .alreadyShutdown: "the client was shut down"
        default: "the connection broke"
        }
    }

    private static func text(of error: Errno) -> String {
        switch error {
        case .connectionRefused, .noRouteToHost, .networkUnreachable, .networkDown:
            "cannot connect to the server: \(error)"
        default: "the connection broke: \(error)"
        }
    }

    private static func text(of error: NIOConnectionError) -> String {
        if error.dnsAError != nil || error.dnsAAAAError != nil, error.connectionErrors.isEmpty {
            return "there is no host '\(error.host)'"
        }
        let reason = error.connectionErrors.first.flatMap { $0.error as? IOError }
        return "cannot connect to \(error.host), port \(error.port): "
            + (reason.map { Errno(rawValue: $0.errnoCode).description } ?? "no answer")
    }
}
