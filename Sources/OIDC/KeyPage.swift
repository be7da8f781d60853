// An issuer's keys over HTTP.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// The page on which an issuer shows its keys, such as the `jwks_uri` of OpenID Connect Discovery §3.
public struct KeyPage: Sendable {
    private let url: String
    private let patience: Duration

    /// - Parameters:
    ///   - url: of https; or of http, where it does not leave this machine.
    ///   - patience: how long reading it may take, from the first byte to the last.
    public init(url: String, patience: Duration = .seconds(10)) {
        (self.url, self.patience) = (url, patience)
    }

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
            result = .success(try await readInTime(by: client))
        } catch {
            result = .failure(error)
        }
        try await client.shutdown()
        return try result.get()
    }

    /// A page that comes a byte at a time must not keep everybody with a new key waiting.
    private func readInTime(by client: HTTPClient) async throws -> [UInt8] {
        try await withThrowingTaskGroup(of: [UInt8].self) { group in
            group.addTask { try await read(by: client) }
            group.addTask {
                try await Task.sleep(for: patience)
                throw Fault.slow(patience)
            }
            defer { group.cancelAll() }
            for try await bytes in group { return bytes }
            throw CancellationError()
        }
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
        case slow(Duration)

        var description: String {
            switch self {
            case .slow(let patience): "it takes longer than \(patience.formatted(.units()))"
            case .status(let code): "it answers with the status \(code)"
            }
        }
    }
}
