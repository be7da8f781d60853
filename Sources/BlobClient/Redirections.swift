// How a download goes on to where the server says that the bytes are, such as a bucket.

import AsyncHTTPClient
import Foundation
import NIOHTTP1

/// An answer to a request that may have been sent on.
struct FollowedResponse: Sendable {
    var response: HTTPClientResponse
    /// Who answered, when it was not the server that was asked.
    var stranger: Origin?
}

/// RFC 6454, §4: for whom a secret is.
struct Origin: Equatable, Sendable, CustomStringConvertible {
    let scheme: String
    let host: String
    let port: Int

    init?(_ url: URL) {
        guard let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme),
            let host = url.host?.lowercased(), !host.isEmpty
        else { return nil }
        (self.scheme, self.host) = (scheme, host)
        port = url.port ?? (scheme == "https" ? 443 : 80)
    }

    var description: String { "\(scheme)://\(host):\(port)" }
}

extension Transport {
    private static let redirectionLimit = 3
    /// RFC 9110, §15.4: those that name one address to go on to. GET stays GET with all of them.
    private static let redirections: Set<UInt> = [301, 302, 303, 307, 308]

    /// Sends a GET on to where the answers say, at most three times. Each call begins at the server again, since the
    /// addresses that it gives may hold for a short time.
    ///
    /// The token is for the server alone: once another origin was asked, no later request bears it. Neither does
    /// `If-Range` go there, whose value is the server's; that the bytes are right is the caller's to check.
    func follow(_ path: String, headers: HTTPHeaders) async throws -> FollowedResponse {
        var request = ServerRequest(method: .GET, path: path, headers: headers)
        guard var address = URL(string: url(path)) else { throw BlobClientError.invalidAddress(url(path)) }
        let server = Origin(address)
        var stranger: Origin?
        for _ in 0...Self.redirectionLimit {
            let response = try await send(request, to: address.absoluteString, isForServer: stranger == nil)
            guard Self.redirections.contains(response.status.code) else {
                return FollowedResponse(response: response, stranger: stranger)
            }
            // So that the connection serves the next request; where it cannot, there will be another.
            _ = try? await response.body.collect(upTo: 64 << 10)
            address = try Self.target(of: response.headers.first(name: "Location"), from: address)
            if stranger != nil || Origin(address) != server {
                stranger = Origin(address)
                request.headers.remove(name: "If-Range")
            }
        }
        throw BlobClientError.unexpectedAnswer("it sends a download on more than \(Self.redirectionLimit) times")
    }

    /// Where an answer sends to. Messages about it leave its query out, which may hold a signature.
    static func target(of location: String?, from address: URL) throws(BlobClientError) -> URL {
        guard let location, let url = URL(string: location, relativeTo: address)?.absoluteURL, let origin = Origin(url),
            url.user == nil
        else { throw .unexpectedAnswer("it sends a download on without an http or https address to go on to") }
        guard address.scheme?.lowercased() != "https" || origin.scheme == "https" else {
            throw .unexpectedAnswer("it sends a download on to \(origin), where anybody on the way could read it")
        }
        return url
    }
}
