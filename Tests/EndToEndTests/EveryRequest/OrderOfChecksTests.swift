// Contract, common rules: bearer → scope → the upload → upload token → headers and query → limits → only then the body
// is read. Every request here announces a body that is never sent: an answer proves that nobody waited for it.

import Foundation
import Testing

@Suite("Order of checks", .inTurn)
struct OrderOfChecksTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let refusal: Refusal
        /// From an existing upload of 10 bytes on a server with a maximum blob size of 4096 bytes.
        let request: @Sendable (Upload) -> Request
        var bearer = Bearer.right
    }

    enum Bearer {
        case none, withoutScope, right
    }

    static let announced: Headers = ["Content-Length": "5000"]
    static let noDigest = "nonsense"

    static func unknown(_ upload: Upload) -> Upload {
        Upload(id: PrivateRoutes.nowhere.id, token: upload.token)
    }

    static func wrongToken(_ upload: Upload) -> Upload {
        Upload(id: upload.id, token: "wrong")
    }

    static let rows = [
        Row(
            testDescription: "bearer before the upload", refusal: .unauthorized,
            request: { .append(to: unknown($0), [], announced) }, bearer: .none),
        Row(
            testDescription: "bearer before the query", refusal: .unauthorized,
            request: { .complete($0, digest: noDigest, .bytes([]), announced) }, bearer: .none),
        Row(
            testDescription: "scope before the upload", refusal: .forbidden,
            request: { .append(to: unknown($0), [], announced) }, bearer: .withoutScope),
        Row(
            testDescription: "the upload before its token", refusal: .uploadUnknown,
            request: { .append(to: wrongToken(unknown($0)), [], announced) }),
        Row(
            testDescription: "the upload before the headers", refusal: .uploadUnknown,
            request: { .append(to: unknown($0), [], ["Content-Length": "5000", "Content-Type": "text/plain"]) }),
        Row(
            testDescription: "the upload token before the headers", refusal: .uploadInvalid,
            request: { .append(to: wrongToken($0), [], ["Content-Length": "5000", "Content-Type": "text/plain"]) }),
        Row(
            testDescription: "the upload token before the query", refusal: .uploadInvalid,
            request: { .complete(wrongToken($0), digest: noDigest, .bytes([]), announced) }),
        Row(
            testDescription: "the upload token before the guard", refusal: .uploadInvalid,
            request: { .append(to: wrongToken($0), [], ["Content-Length": "5000", "Upload-Offset": "3"]) }),
        Row(
            testDescription: "the type before the limits", refusal: .unsupportedMediaType,
            request: { .append(to: $0, [], ["Content-Length": "5000", "Content-Type": "text/plain"]) }),
        Row(
            testDescription: "the query before the limits", refusal: .digestInvalid,
            request: { .complete($0, digest: noDigest, .bytes([]), announced) }),
        Row(
            testDescription: "the guard before the limits", refusal: .offsetMismatch,
            request: { .append(to: $0, [], ["Content-Length": "5000", "Upload-Offset": "3"]) }),
        Row(
            testDescription: "the range before the limits", refusal: .rangeInvalid,
            request: { .append(to: $0, [], ["Content-Length": "5000", "Content-Range": "bytes 3-5002/*"]) }),
        Row(
            testDescription: "the range's size before the limits", refusal: .sizeInvalid,
            request: { .append(to: $0, [], ["Content-Length": "5000", "Content-Range": "bytes 10-19/*"]) }),
        Row(
            testDescription: "the limits before the body", refusal: .tooLarge,
            request: { .append(to: $0, [], announced) }),
        Row(
            testDescription: "the limits before completing's body", refusal: .tooLarge,
            request: { .complete($0, .bytes([]), announced) }),
        Row(
            testDescription: "initiating's body before it is read", refusal: .validateFailed,
            request: { _ in Request.initiate().with(announced) }),
    ]

    @Test("the first thing that is wrong is told, before any of the body is read", arguments: rows)
    func order(_ row: Row) async throws {
        try await Self.check(row, expecting: [:])
    }

    @Test("Expect: 100-continue gets the error without its 100", arguments: rows)
    func expectation(_ row: Row) async throws {
        try await Self.check(row, expecting: ["Expect": "100-continue"])
    }

    @Test(
        "the quota and the free space before the body",
        arguments: [(["--quota", "4096"], Refusal.denied)]
            // A bucket has no limit of space that could be told beforehand.
            + (CloudData.isChosen ? [] : [(["--min-free-space", "1000000GiB"], .insufficientStorage)]))
    func storageLimits(_ flags: [String], _ refusal: Refusal) async throws {
        try await withServer { server in
            let owner = try server.admin()
            let upload = try await owner.upload(holding: Sample.bytes(10))
            try await server.restart(flags)
            for request in [
                Request.append(to: upload, [], Self.announced), .complete(upload, .bytes([]), Self.announced),
            ] {
                for expectation in [[:], ["Expect": "100-continue"]] as [Headers] {
                    try await Self.check(request.with(expectation), from: owner, is: refusal)
                }
            }
            #expect(try await owner.offset(of: upload) == 10)
        }
    }

    @Test("initiating's query before the number of open uploads")
    func openUploads() async throws {
        try await withServer(["--max-open-uploads", "1"]) { server in
            let client = try server.admin()
            _ = try await client.initiate()
            expect(try await client.send(.initiate()), is: .tooManyRequests)
            let wrong = Request(method: "POST", target: "/api/blobs/uploads?temporary=x")
            expect(try await client.send(wrong), is: .validateFailed)
        }
    }

    private static func check(_ row: Row, expecting expectation: Headers) async throws {
        let server = try await server.value
        let owner = try await server.client("upload")
        let upload = try await owner.upload(holding: Sample.bytes(10))
        let caller =
            switch row.bearer {
            case .none: owner.anonymous
            case .withoutScope: try await server.client("read")
            case .right: owner
            }
        try await check(row.request(upload).with(expectation), from: caller, is: row.refusal)
        #expect(try await owner.offset(of: upload) == 10)
    }

    /// Sends the head alone.
    private static func check(_ request: Request, from caller: Client, is refusal: Refusal) async throws {
        let connection = try await caller.server.connect()
        defer { connection.close() }
        try await connection.send(caller.signed(request).head)
        let response = try await caller.receive(request, on: connection)
        expect(response, is: refusal)
        #expect(response.informational.isEmpty)
    }

    /// One server for all rows; each row has an upload of a subject of its own.
    private static let server = Task {
        let server = try ServerProcess()
        try await server.start(["--max-blob-size", "4096"])
        return server
    }
}

@Suite("Expect: 100-continue", .inTurn)
struct ExpectContinueTests {
    @Test("an append that passes the checks gets its 100, then its answer")
    func append() async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        let bytes = try Sample.bytes(1000)
        let request = Request.append(to: upload, bytes, ["Expect": "100-continue"])
        let connection = try await client.server.connect()
        defer { connection.close() }
        try await connection.send(client.signed(request).head)
        #expect(try await connection.receiveInformational() == 100)
        try await connection.send(bytes)
        let response = try await client.receive(request, on: connection)
        #expect(response.status == 203)
        expect(response, tellsOffset: 1000)
    }

    @Test("so does completing with a body, chunked")
    func complete() async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        let bytes = try Sample.bytes(1000)
        let digest = Sample.digest(of: bytes)
        let request = Request.complete(upload, digest: digest, .chunked([bytes]), ["Expect": "100-continue"])
        let connection = try await client.server.connect()
        defer { connection.close() }
        try await connection.send(client.signed(request).head)
        #expect(try await connection.receiveInformational() == 100)
        try await connection.send(request.encodedBody)
        let response = try await client.receive(request, on: connection)
        #expect(response.status == 201)
        #expect(response.informational.isEmpty, "one 100 is enough")
    }

    @Test("without the header no 100 is sent")
    func unasked() async throws {
        let client = try await Client.shared
        let response = try await client.send(.append(to: client.initiate(), Sample.bytes(1000)))
        #expect(response.status == 203)
        #expect(response.informational.isEmpty)
    }
}
