// Requests on their way to one server, and answers on their way back.

import AsyncHTTPClient
import BlobCore
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// One request. The path begins after the server's address.
struct ServerRequest: Sendable {
    var method: HTTPMethod
    var path: String
    var query: [(name: String, value: String)] = []
    var headers: HTTPHeaders = [:]
    var body: HTTPClientRequest.Body?
}

/// An answer with its body in memory.
struct ServerAnswer: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var body: ByteBuffer
}

/// The connections to one server.
struct Transport: Sendable {
    private let client: HTTPClient
    private let base: String
    private let token: String?
    private let userAgent: String
    /// `nil` where bytes go as fast as they can.
    let pace: Pace?
    private let hasAnswered = AnsweredOnce()

    /// No answer of this API is longer.
    private static let answerLimit = 4 << 20

    init(address: String, token: String?, configuration: BlobServiceClient.Configuration) throws(BlobClientError) {
        guard let url = URLComponents(string: address), let scheme = url.scheme?.lowercased(),
            ["http", "https"].contains(scheme), url.host?.isEmpty == false, url.query == nil, url.fragment == nil,
            url.user == nil, url.password == nil
        else { throw .invalidAddress(address) }
        base = String(address.reversed().drop { $0 == "/" }.reversed())
        (self.token, userAgent) = (token, configuration.userAgent)
        pace = configuration.rateLimit.map { Pace(bytesPerSecond: $0) }
        var settings = HTTPClient.Configuration(
            tlsConfiguration: try Self.tls(configuration.trust),
            redirectConfiguration: .disallow,
            timeout: HTTPClient.Configuration.Timeout(
                connect: TimeAmount(configuration.connectTimeout), read: TimeAmount(configuration.silenceLimit),
                write: TimeAmount(configuration.silenceLimit)
            )
        )
        settings.proxy = configuration.proxy.map { proxy in
            .server(
                host: proxy.host, port: proxy.port,
                authorization: proxy.credentials.map { .basic(credentials: Data($0.utf8).base64EncodedString()) })
        }
        // Large bodies are as fast on a connection of their own, and do not wait for each other there.
        settings.httpVersion = .http1Only
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = configuration.connectionLimit
        // What failed is tried again by this library, which tells about it.
        settings.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    private static func tls(_ trust: BlobServiceClient.Configuration.Trust) throws(BlobClientError) -> TLSConfiguration
    {
        var tls = TLSConfiguration.makeClientConfiguration()
        switch trust {
        case .system: break
        case .anything: tls.certificateVerification = .none
        case .certificates(let path):
            do {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
            } catch {
                throw .certificates("\(path) must be a readable file of certificates in PEM form")
            }
        }
        return tls
    }

    func shutdown() async {
        try? await client.shutdown()
    }

    /// Closes all connections when nobody waits for it.
    func abandon() {
        client.shutdown { _ in }
    }

    /// The address of a path, as a person would open it.
    func url(_ path: String) -> String { base + path }

    /// Sends a request and takes the whole answer.
    ///
    /// - Throws: ``BlobClientError`` also when the answer says no.
    func exchange(_ request: ServerRequest) async throws -> ServerAnswer {
        let answer = try await Self.whole(try await begin(request))
        guard (200..<300).contains(answer.status) else { throw BlobClientError.refused(ServerRefusal(answer)) }
        return answer
    }

    /// An answer with its body.
    ///
    /// - Throws: ``BlobClientError/unexpectedAnswer(_:)`` for a body that is longer than any of this API's.
    static func whole(_ response: HTTPClientResponse) async throws -> ServerAnswer {
        let body = try await mappingErrors { try await response.body.collect(upTo: answerLimit) }
        return ServerAnswer(status: Int(response.status.code), headers: response.headers, body: body)
    }

    /// The bytes of a piece, at the pace that was asked for.
    func body(of bytes: OutgoingPiece.Bytes) -> HTTPClientRequest.Body {
        switch (bytes, pace) {
        case (.buffer(let buffer), nil): .bytes(buffer)
        case (.buffer(let buffer), let pace?):
            .stream(
                PacedBody(base: BufferBody(buffer: buffer), pace: pace), length: .known(Int64(buffer.readableBytes)))
        case (.source(let body, let count), nil): .stream(body, length: .known(count))
        case (.source(let body, let count), let pace?):
            .stream(PacedBody(base: body, pace: pace), length: .known(count))
        }
    }

    /// The next bytes of an answer, at the pace that was asked for.
    func next(_ iterator: inout HTTPClientResponse.Body.AsyncIterator) async throws -> ByteBuffer? {
        let next = try await Self.mappingErrors { () async throws -> ByteBuffer? in try await iterator.next() }
        if let next { try await pace?.wait(for: next.readableBytes) }
        return next
    }

    private func begin(_ request: ServerRequest) async throws -> HTTPClientResponse {
        try await send(request, to: url(request.path) + Self.text(of: request.query), isForServer: true)
    }

    /// Sends a request and returns when the answer's head is there, whatever it says. Its body has to be read or
    /// dropped.
    ///
    /// - Parameter isForServer: whether the token is for those at this address.
    func send(_ request: ServerRequest, to address: String, isForServer: Bool) async throws -> HTTPClientResponse {
        var whole = HTTPClientRequest(url: address)
        whole.method = request.method
        whole.headers = request.headers
        whole.headers.add(name: "User-Agent", value: userAgent)
        if isForServer, let token { whole.headers.add(name: "Authorization", value: "Bearer \(token)") }
        whole.body = request.body
        do {
            let response = try await Self.mappingErrors { [whole] in
                try await client.execute(whole, deadline: .distantFuture)
            }
            hasAnswered.value.store(true, ordering: .relaxed)
            return response
        } catch let error as BlobClientError where error == .broken && isForServer && mayBeSecure {
            // What speaks TLS closes at the first byte that is none.
            throw BlobClientError.connection(
                "the connection broke before any answer; if the server speaks TLS, its address begins with https://")
        }
    }

    /// Whether the server may speak TLS where the address says that it does not.
    private var mayBeSecure: Bool {
        base.lowercased().hasPrefix("http:") && !hasAnswered.value.load(ordering: .relaxed)
    }

    private static func text(of query: [(name: String, value: String)]) -> String {
        query.isEmpty
            ? "" : "?" + query.map { "\($0.name)=\(PercentEncoding.component($0.value))" }.joined(separator: "&")
    }

    /// Turns whatever the network throws into ``BlobClientError``.
    static func mappingErrors<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw BlobClientError(network: error)
        }
    }
}

/// Whether there has been any answer.
private final class AnsweredOnce: Sendable {
    let value = Atomic(false)
}

extension ServerRefusal {
    /// Reads the API's error body; whatever stands before the server may have answered in another form.
    init(_ answer: ServerAnswer) {
        struct Errors: Decodable {
            struct One: Decodable {
                var code: String?
                var message: String?
            }
            var errors: [One]
        }
        let told = try? JSONDecoder().decode(Errors.self, from: Data(answer.body.readableBytesView)).errors.first
        self.init(
            status: answer.status, code: told?.code ?? "", message: told?.message ?? "",
            retryAfter: answer.headers.first(name: "Retry-After").flatMap(Self.pause),
            requestID: answer.headers.first(name: "X-Request-ID")
        )
    }

    /// RFC 9110, §10.2.3: seconds, or a date. At most a day.
    private static func pause(_ text: String) -> Duration? {
        let isNumber = !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let seconds = isNumber ? Double(text) : HTTPDate.date(text)?.timeIntervalSinceNow
        return seconds.map { .seconds(min(max(0, $0), 86_400)) }
    }
}
