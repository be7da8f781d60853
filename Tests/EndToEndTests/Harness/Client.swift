// A caller of the API with one bearer token. Every answer it gets is held against the rules that hold for all answers.

import Foundation
import Testing

struct Client: Sendable {
    let server: ServerProcess
    /// Sent as `Authorization: Bearer` unless the request has that header; none when nil.
    let bearer: String?

    /// The admin of the shared server.
    static var shared: Client {
        get async throws { try await ServerProcess.shared.admin() }
    }

    /// A subject of its own on the shared server.
    static func newSubject(_ scopes: String = "upload,read,delete") async throws -> Client {
        try await ServerProcess.shared.client(scopes)
    }

    /// The same server's caller without a token.
    var anonymous: Client { Client(server: server, bearer: nil) }

    /// The request with this caller's token.
    func signed(_ request: Request) -> Request {
        guard let bearer, request.headers["Authorization"] == nil else { return request }
        return request.with(["Authorization": "Bearer \(bearer)"])
    }

    /// Sends on a connection of its own.
    func send(_ request: Request, sourceLocation: SourceLocation = #_sourceLocation) async throws -> Response {
        let connection = try await server.connect()
        defer { connection.close() }
        return try await send(request, on: connection, sourceLocation: sourceLocation)
    }

    func send(
        _ request: Request, on connection: HTTPConnection, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Response {
        let request = signed(request)
        try await connection.send(request)
        return try await receive(request, on: connection, sourceLocation: sourceLocation)
    }

    /// The answer to a request that has been sent already, held against the rules for every answer.
    func receive(
        _ request: Request, on connection: HTTPConnection, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Response {
        let response = try await connection.receive(for: request.method)
        await AnswerRules.check(response, to: signed(request), of: server, sourceLocation)
        return response
    }
}

extension Client {
    func initiate(filename: String? = nil, temporary: Bool? = nil) async throws -> Upload {
        try Upload(await send(.initiate(filename: filename, temporary: temporary)))
    }

    /// Starts an upload that holds these bytes already.
    func upload(holding bytes: [UInt8], filename: String? = nil, temporary: Bool? = nil) async throws -> Upload {
        let upload = try await initiate(filename: filename, temporary: temporary)
        try await append(bytes, to: upload)
        return upload
    }

    func append(_ bytes: [UInt8], to upload: Upload) async throws {
        let response = try await send(.append(to: upload, bytes))
        guard response.status == 203 else { throw Failure("append: \(response)") }
    }

    /// The answer of status.
    func offset(of upload: Upload) async throws -> Int {
        let response = try await send(.status(of: upload))
        guard response.status == 204, let offset = response.headers["Upload-Offset"].flatMap({ Int($0) }) else {
            throw Failure("status: \(response)")
        }
        return offset
    }

    func complete(_ upload: Upload, _ body: Request.Body = .none) async throws -> Published {
        try Published(await send(.complete(upload, body)))
    }

    /// Uploads and completes in one go.
    func publish(_ bytes: [UInt8], filename: String? = nil, temporary: Bool? = nil) async throws -> Published {
        try await complete(initiate(filename: filename, temporary: temporary), .bytes(bytes))
    }

    func isPublished(_ bytes: [UInt8]) async throws -> Bool {
        let response = try await send(.download(Sample.digest(of: bytes)))
        guard response.status == 200 || response.status == 404 else { throw Failure("download: \(response)") }
        return response.status == 200
    }

    /// Sends an append's head and waits for the server's 100: from then on the append is the upload's running one. Then
    /// sends the first part of its body and waits until the server has read it.
    func startAppend(
        to upload: Upload, _ framing: Framing = .announced(8 << 20), sending part: [UInt8] = [],
        on connection: HTTPConnection
    ) async throws {
        let expectation: Headers = ["Expect": "100-continue"]
        let request: Request =
            switch framing {
            case .chunked: .append(to: upload, .chunked([]), expectation)
            case .announced(let length):
                .append(to: upload, [], expectation.overridden(by: ["Content-Length": String(length)]))
            }
        try await connection.send(signed(request).head)
        let status = try await connection.receiveInformational()
        guard status == 100 else { throw Failure("\(status) in place of 100") }
        guard !part.isEmpty else { return }
        try await connection.send(framing == .chunked ? Request.chunk(part) : part)
        try await connection.waitUntilRead()
    }
}

/// How a body's length is told.
enum Framing: Equatable, Sendable {
    case announced(Int)
    case chunked
}

/// The file that completing an upload made.
struct Published: Sendable {
    let id: String
    let digest: String
    let body: JSON

    init(_ response: Response) throws {
        guard response.status == 201, let body = response.json, let id = body["id"]?.string,
            let digest = body["digest"]?.string
        else { throw Failure("nothing was published: \(response)") }
        (self.id, self.digest, self.body) = (id, digest, body)
    }
}
