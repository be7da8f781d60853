// Malformed HTTP over a real socket: a clear refusal or a closed connection, nothing lost, nothing published, and the
// server goes on.

import Foundation
import Testing

@Suite("Bad HTTP", .inTurn)
struct BadHTTPTests {
    /// The refusal, or nil when the server closed the connection without one.
    private func refusal(_ bytes: String) async throws -> Response? {
        let connection = try await ServerProcess.shared.connect()
        defer { connection.close() }
        try await connection.send(bytes)
        connection.finishSending()
        return try await connection.receiveIfAny()
    }

    @Test(
        "what is not HTTP/1.1: 400 BAD_REQUEST",
        arguments: [
            "nonsense\r\n\r\n", "GET\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n",
            "GET /health HTTP/1.1\r\nno colon\r\n\r\n", "GET /health HTTP/1.1\r\nBad Name: 1\r\n\r\n",
            "GET /health HTTP/1.1\r\n: 1\r\n\r\n", "{\"json\":true}\r\n\r\n",
        ])
    func notHTTP(_ bytes: String) async throws {
        let response = try #require(try await refusal(bytes))
        expect(response, is: .badRequest)
        #expect(response.headers["X-Request-ID"]?.isEmpty == false)
    }

    @Test(
        "another protocol, or a tunnel, is declined: an answer, and the connection ends with it",
        arguments: [
            (
                "GET /health HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
                200
            ),
            ("GET /health HTTP/1.1\r\nConnection: keep-alive,upgrade\r\nUpgrade: websocket", 200),
            ("OPTIONS /health HTTP/1.1\r\nconnection: UPGRADE\r\nupgrade: TLS/1.0", 204),
            ("GET /nowhere HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c", 404),
            ("CONNECT example.org:443 HTTP/1.1\r\nProxy-Connection: keep-alive", 405),
            ("CONNECT /health HTTP/1.1\r\nConnection: keep-alive", 405),
        ])
    func otherProtocol(_ head: String, status: Int) async throws {
        let connection = try await ServerProcess.shared.connect()
        defer { connection.close() }
        try await connection.send(head + "\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        let response = try await connection.receive(for: String(head.prefix { $0 != " " }))
        #expect(response.status == status && response.headers["Connection"] == "close")
        try await connection.waitForClose(within: .seconds(5))
    }

    @Test(
        "a body whose length is not clear is refused, and nothing is appended",
        arguments: [
            "Content-Length: 5\r\nContent-Length: 6", "Content-Length: -5", "Content-Length: abc",
            "Content-Length: 5, 6",
            "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: nonsense",
            "Content-Length: 5x", "Content-Length: 0x5", "Content-Length: +5",
        ])
    func unclearLength(_ framing: String) async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let connection = try await client.server.connect()
        defer { connection.close() }
        let token = try #require(client.bearer)
        try await connection.send(
            "POST /api/blobs/uploads/\(upload.id)/append HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n"
                + "PortSIP-Upload-Token: \(upload.token)\r\n\(framing)\r\n\r\n0\r\n\r\nabcdefgh")
        connection.finishSending()
        if let response = try await connection.receiveIfAny(for: "POST") {
            #expect((400..<500).contains(response.status) || response.status == 501, "\(response)")
        }
        #expect(try await client.offset(of: upload) == 3)
    }

    @Test(
        "chunks that are none: 400 or a closed connection; whole chunks before them are kept",
        arguments: [
            "ZZ\r\nabc\r\n", "-5\r\nabcde\r\n", "5\r\nabcdefgh\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\na", "\r\n\r\n",
        ] as [String])
    func chunks(_ bad: String) async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        defer { connection.close() }
        try await client.startAppend(to: upload, .chunked, sending: Array("good".utf8), on: connection)
        try await connection.send(bad)
        if let response = try await connection.receiveIfAny(for: "POST") {
            expect(response, is: .badRequest)
        }
        try await eventually("the whole chunk is kept, and no more than was sent") {
            let offset = try await client.offset(of: upload)
            return (4...9).contains(offset) ? true : nil
        }
        #expect(try await client.send(.append(to: upload, [1])).status == 203)
    }

    @Test("a body longer than announced: the announced bytes are appended, the rest is no request")
    func longer() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        defer { connection.close() }
        let request = Request.append(to: upload, bytes, ["Content-Length": "60"])
        try await connection.send(client.signed(request))
        #expect(try await connection.receive(for: "POST").status == 203)
        if let second = try await connection.receiveIfAny() { expect(second, is: .badRequest) }
        #expect(try await client.offset(of: upload) == 60)
        try await client.finish(upload, with: bytes)
    }

    @Test("a body shorter than announced is a cut connection: what came is kept, nothing is completed")
    func shorter() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(60)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        let request = Request.complete(
            upload, digest: Sample.digest(of: bytes), .bytes(bytes), ["Content-Length": "100"])
        try await connection.send(client.signed(request))
        connection.close()
        try await eventually("what came is kept") {
            try await client.offset(of: upload) == 60 ? true : nil
        }
        #expect(try await !client.isPublished(bytes))
        try await client.finish(upload, with: bytes)
    }

    @Test("a hundred rude clients later the server still answers")
    func rude() async throws {
        let client = try await Client.shared
        for number in 0..<100 {
            let connection = try await client.server.connect()
            try await connection.send(try Sample.bytes(number))
            number.isMultiple(of: 2) ? connection.reset() : connection.close()
        }
        #expect(try await client.send(.files()).status == 200)
    }
}

@Suite("Pipelined requests", .inTurn)
struct PipelineTests {
    @Test("are answered one by one, in their order")
    func order() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100_000)
        let digest = try await client.publish(bytes).digest
        let requests: [Request] = [
            .get("/health"), .download(digest), .head(digest), .initiate(), .get("/nope"),
            .download(digest, ["Range": "bytes=0-9"]),
            .files("top=1"), .get("/health"),
        ]
        let connection = try await client.server.connect()
        defer { connection.close() }
        try await connection.send(requests.flatMap { client.signed($0).encoded })
        var answers: [Response] = []
        for request in requests {
            answers.append(try await client.receive(request, on: connection))
        }
        #expect(answers.map(\.status) == [200, 200, 200, 202, 404, 206, 200, 200])
        #expect(answers[1].body == bytes && answers[2].body.isEmpty && answers[5].body == Array(bytes[..<10]))
    }

    @Test("a thousand downloads in one go are all answered")
    func many() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let request = Request.download(try await client.publish(bytes).digest)
        // From the second time on, the blob is open: the request is answered at once, while it is received.
        _ = try await client.send(request)
        let connection = try await client.server.connect()
        defer { connection.close() }
        try await connection.send((0..<1000).flatMap { _ in request.encoded })
        for _ in 0..<1000 { #expect(try await client.receive(request, on: connection).body == bytes) }
    }

    @Test("appends in one go arrive in their order")
    func appends() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(30)
        let upload = try await client.initiate()
        let requests = [0, 10, 20].map { start in
            Request.append(to: upload, Array(bytes[start..<start + 10]), ["Upload-Offset": String(start)])
        }
        let connection = try await client.server.connect()
        defer { connection.close() }
        try await connection.send(requests.flatMap { client.signed($0).encoded })
        for (number, request) in requests.enumerated() {
            expect(try await client.receive(request, on: connection), tellsOffset: 10 * (number + 1))
        }
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }
}
