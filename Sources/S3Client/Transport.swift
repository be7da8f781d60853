// Signed requests on their way to one bucket, and replies on their way back. Nothing is tried again here.

import AsyncHTTPClient
import BlobCore
import Crypto
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// One request about the bucket, or about an object in it.
struct S3Request: Sendable {
    var method: HTTPMethod
    var key: String?
    /// Not encoded.
    var query: [(name: String, value: String)] = []
    /// Signed, all of them.
    var headers: [(name: String, value: String)] = []
    var body: [ByteBuffer] = []
    /// Of the body, when it is known already.
    var sha256: [UInt8]?
}

/// A reply with its body in memory.
struct S3Reply: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var body: ByteBuffer
}

/// The connections to one store.
final class Transport: Sendable {
    let address: BucketAddress
    private let client: HTTPClient
    private let signer: SignatureV4
    private let clock: @Sendable () -> Date
    /// How far the store's clock is ahead, once it has complained.
    private let skew = Mutex<TimeInterval>(0)

    /// Longer replies than any of S3's are refused.
    private static let replyLimit = 16 << 20

    init(_ configuration: S3Configuration, clock: @escaping @Sendable () -> Date) throws(S3Error) {
        try configuration.validate()
        address = try BucketAddress(configuration)
        signer = SignatureV4(credentials: configuration.credentials, region: configuration.region)
        self.clock = clock
        var settings = HTTPClient.Configuration(
            tlsConfiguration: try Self.tls(configuration.certificateAuthority),
            redirectConfiguration: .disallow,
            timeout: HTTPClient.Configuration.Timeout(
                connect: TimeAmount(configuration.connectTimeout), read: TimeAmount(configuration.idleTimeout),
                write: TimeAmount(configuration.idleTimeout)
            )
        )
        settings.httpVersion = .http1Only
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = configuration.connectionLimit
        // Before stores close them, which mostly takes a minute.
        settings.connectionPool.idleTimeout = .seconds(30)
        // What failed is tried again by the caller, who counts.
        settings.connectionPool.retryConnectionEstablishment = false
        // Nobody would look at the traces.
        settings.tracing.tracer = nil
        settings.http1_1ConnectionDebugInitializer = Self.receiveInLargeBuffers
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    /// One read brings one buffer, as large as there are bytes: the fewer an object comes in, the less it costs.
    @Sendable private static func receiveInLargeBuffers(_ channel: any Channel) -> EventLoopFuture<Void> {
        let allocator = AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 16 << 10, maximum: 256 << 10)
        return channel.setOption(.recvAllocator, value: allocator)
            .flatMap { channel.setOption(.maxMessagesPerRead, value: 1) }
    }

    private static func tls(_ authority: String?) throws(S3Error) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        guard let authority else { return tls }
        do {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
        } catch {
            throw S3Error(
                .invalidConfiguration, message: "\(authority) must be a readable file of certificates in PEM form")
        }
        return tls
    }

    func shutdown() async {
        try? await client.shutdown()
    }

    /// Now, as the store's clock has it.
    private var time: Date { clock().addingTimeInterval(skew.withLock { $0 }) }

    // MARK: Sending

    /// Sends a request and takes the whole reply.
    ///
    /// - Throws: ``S3Error`` also when the reply says no, be it in the body of a 200.
    func exchange(_ request: S3Request, within limit: Duration) async throws(S3Error) -> S3Reply {
        let deadline = ContinuousClock.now + limit
        let response = try await begin(request, within: limit)
        return try await whole(response, of: request, before: deadline)
    }

    /// Sends a request and returns when the head of a reply is there that says yes. Its body has to be read or dropped.
    ///
    /// - Throws: ``S3Error`` also when the reply says no.
    func open(_ request: S3Request, within limit: Duration) async throws(S3Error) -> HTTPClientResponse {
        let deadline = ContinuousClock.now + limit
        let response = try await begin(request, within: limit)
        guard (200..<300).contains(response.status.code) else {
            _ = try await whole(response, of: request, before: deadline)
            throw S3Error(.unexpectedReply, message: "the store's reply makes no sense")
        }
        return response
    }

    private func begin(_ request: S3Request, within limit: Duration) async throws(S3Error) -> HTTPClientResponse {
        let outgoing = signed(request)
        do {
            return try await client.execute(outgoing, deadline: .now() + TimeAmount(limit))
        } catch {
            throw S3Error(network: error)
        }
    }

    private func signed(_ request: S3Request) -> HTTPClientRequest {
        let headers = [(name: "Host", value: address.host)] + request.headers
        let path = address.path(of: request.key)
        let signable = SignableRequest(
            method: request.method.rawValue, path: path, query: request.query, headers: headers)
        let payload = Hexadecimal.text(request.sha256 ?? Self.sha256(request.body))
        let query = request.query.isEmpty ? "" : "?" + SignatureV4.encoded(request.query)
        var outgoing = HTTPClientRequest(url: "\(address.scheme)://\(address.host)\(path)\(query)")
        outgoing.method = request.method
        for (name, value) in headers + signer.headers(for: signable, payload: payload, at: time) {
            outgoing.headers.add(name: name, value: value)
        }
        outgoing.headers.add(name: "User-Agent", value: "blobd")
        switch request.body.count {
        case 0: break
        case 1: outgoing.body = .bytes(request.body[0])
        default:
            let count = request.body.reduce(0) { $0 + Int64($1.readableBytes) }
            outgoing.body = .stream(BufferSequence(buffers: request.body), length: .known(count))
        }
        return outgoing
    }

    private static func sha256(_ body: [ByteBuffer]) -> [UInt8] {
        var hash = SHA256()
        for buffer in body { buffer.withUnsafeReadableBytes { hash.update(bufferPointer: $0) } }
        return Array(hash.finalize())
    }

    /// The address of an object that anybody may use for a time.
    func presigned(_ key: String, query: [(name: String, value: String)], expiresIn seconds: Int) -> String {
        let path = address.path(of: key)
        let signable = SignableRequest(
            method: "GET", path: path, query: query, headers: [(name: "Host", value: address.host)])
        let query = signer.presignedQuery(for: signable, expiresIn: seconds, at: time)
        return "\(address.scheme)://\(address.host)\(path)?\(query)"
    }

    // MARK: Receiving

    private func whole(
        _ response: HTTPClientResponse, of request: S3Request, before deadline: ContinuousClock.Instant
    ) async throws(S3Error) -> S3Reply {
        var reply = S3Reply(status: Int(response.status.code), headers: response.headers, body: ByteBuffer())
        do {
            for try await bytes in response.body {
                reply.body.writeImmutableBuffer(bytes)
                guard reply.body.readableBytes <= Self.replyLimit else {
                    throw S3Error(.unexpectedReply, message: "the store's reply is far too long")
                }
                guard ContinuousClock.now < deadline else { throw HTTPClientError.deadlineExceeded }
            }
        } catch {
            throw S3Error(network: error)
        }
        if Task.isCancelled { throw .cancelled }
        let announced = reply.headers.first(name: "Content-Length").flatMap(Int.init) ?? 0
        guard request.method == .HEAD || reply.body.readableBytes >= announced else { throw .broken }
        if let error = refusal(reply) { throw error }
        return reply
    }

    /// The fault of a reply; `nil` when it is a success, or a body that only its reader can judge.
    private func refusal(_ reply: S3Reply) -> S3Error? {
        let isError = Documents.isError(reply.body)
        guard !(200..<300).contains(reply.status) || isError else { return nil }
        let told = isError ? try? Documents.decode(ErrorReply.self, from: reply.body) : nil
        var error = S3Error(
            refusal: told?.code ?? "", message: told?.message ?? "", status: reply.status,
            requestID: told?.requestID ?? reply.headers.first(name: "x-amz-request-id"))
        if error.kind == .wrongEndpoint {
            let region = told?.region ?? reply.headers.first(name: "x-amz-bucket-region")
            let places = [region.map { "region \($0)" }, told?.endpoint.map { "endpoint \($0)" }].compactMap(\.self)
            let place = places.isEmpty ? "somewhere else" : "at " + places.joined(separator: ", ")
            error.message += "; the bucket is \(place)"
        }
        if error.kind == .clockSkewed { adjust(to: reply) }
        return error
    }

    /// Signs from now on with the time that the store told.
    private func adjust(to reply: S3Reply) {
        guard let date = reply.headers.first(name: "Date").flatMap(HTTPDate.date) else { return }
        skew.withLock { $0 = date.timeIntervalSince(clock()) }
    }
}

/// Buffers, one after the other.
private struct BufferSequence: AsyncSequence, Sendable {
    let buffers: [ByteBuffer]

    struct AsyncIterator: AsyncIteratorProtocol {
        var rest: ArraySlice<ByteBuffer>

        mutating func next() async -> ByteBuffer? { rest.popFirst() }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(rest: buffers[...]) }
}
