// An issuer's keys over HTTP.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// The page on which an issuer shows its keys, such as the `jwks_uri` of OpenID Connect Discovery §3.
public struct KeyPage: Sendable {
    private let url: String

    /// - Parameter url: of https; or of http, where it does not leave this machine.
    public init(url: String) { self.url = url }

    /// In bytes.
    static let longest = 256 << 10
    private static let timeout = TimeAmount.seconds(5)

    /// Reads the page. It is read too seldom to keep a connection for it. Redirections are not followed: whoever can
    /// change where keys come from can sign.
    public func read() async throws -> [UInt8] {
        var settings = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: Self.timeout, read: Self.timeout))
        settings.tracing.tracer = nil
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        let result: Result<[UInt8], any Error>
        do {
            result = .success(try await read(by: client))
        } catch {
            result = .failure(error)
        }
        try await client.shutdown()
        return try result.get()
    }

    private func read(by client: HTTPClient) async throws -> [UInt8] {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "accept", value: "application/jwk-set+json, application/json")
        let response = try await client.execute(request, timeout: Self.timeout)
        guard response.status == .ok else { throw Fault.status(response.status.code) }
        return Array(buffer: try await response.body.collect(upTo: Self.longest))
    }

    private enum Fault: Error, CustomStringConvertible {
        case status(UInt)

        var description: String {
            switch self {
            case .status(let code): "it answers with the status \(code)"
            }
        }
    }
}
