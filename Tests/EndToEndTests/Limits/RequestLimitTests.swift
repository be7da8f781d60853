// Contract, limits and overload: the size of a request's head, and how slow a client may be.

import Foundation
import Testing

@Suite("The size of a request's head", .inTurn)
struct HeadLimitTests {
    private func answer(to request: Request) async throws -> Response {
        let connection = try await ServerProcess.shared.connect()
        defer { connection.close() }
        // The server may answer and close before it has taken everything.
        try? await connection.send(request.head)
        return try await connection.receive()
    }

    @Test("a header over the limit: 431")
    func header() async throws {
        let request = Request.get("/health").with(["X-Large": String(repeating: "a", count: 200_000)])
        expect(try await answer(to: request), is: .headersTooLarge)
    }

    @Test("too many headers: 431")
    func count() async throws {
        var headers = Headers()
        for number in 0..<5000 { headers.add("X-\(number)", "1") }
        expect(try await answer(to: Request.get("/health").with(headers)), is: .headersTooLarge)
    }

    @Test("a URI over the limit: 414")
    func uri() async throws {
        let request = Request.get("/api/blobs/uploads?filename=" + String(repeating: "a", count: 200_000))
        expect(try await answer(to: request), is: .uriTooLong)
    }

    @Test("what a client usually sends is taken")
    func usual() async throws {
        var headers: Headers = ["X-Large": String(repeating: "a", count: 4000)]
        for number in 0..<50 { headers.add("X-\(number)", "1") }
        #expect(try await answer(to: Request.get("/health").with(headers)).status == 200)
        #expect(try await answer(to: .get("/health?" + String(repeating: "a", count: 2000))).status == 200)
    }

    @Test("the server answers others afterwards, with their request ids")
    func others() async throws {
        let response = try await answer(to: .get("/health?" + String(repeating: "a", count: 200_000)))
        #expect(response.headers["X-Request-ID"]?.isEmpty == false)
        #expect(try await Client.shared.send(.files()).status == 200)
    }
}

@Suite("Slow clients", .inTurn)
struct TimeoutTests {
    // Each test shortens its own limit only: a connection that another one closed would prove nothing.
    static let headers = ["--header-timeout", "1s"]
    static let body = ["--body-timeout", "1s"]
    static let idle = ["--idle-timeout", "1s"]

    /// Sends a piece again and again until the server closes the connection.
    private func sendSlowly(_ piece: [UInt8], on connection: HTTPConnection) async throws {
        try await eventually("the server closes the connection", every: .milliseconds(250)) {
            if try connection.hasNews() { return true }
            do {
                try await connection.send(piece)
                return nil
            } catch {
                return true
            }
        }
        try await connection.waitForClose()
    }

    @Test("headers that do not come: connection closed")
    func silentHeaders() async throws {
        try await withServer(Self.headers) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            let start = ContinuousClock.now
            try await connection.send("GET /health HTTP/1.1\r\nHost: a")
            try await connection.waitForClose()
            #expect(ContinuousClock.now - start > .milliseconds(500), "not at once")
        }
    }

    @Test("headers that come byte by byte: connection closed")
    func slowHeaders() async throws {
        try await withServer(Self.headers) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            try await connection.send("GET /health HTTP/1.1\r\nX-Slow: ")
            try await sendSlowly(Array("a".utf8), on: connection)
        }
    }

    @Test("a body that does not go on: connection closed, what came is kept")
    func silentBody() async throws {
        try await withServer(Self.body) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(10_000)
            let upload = try await client.initiate()
            let connection = try await server.connect()
            defer { connection.close() }
            try await client.startAppend(to: upload, .announced(10_000), sending: Array(bytes[..<700]), on: connection)
            try await connection.waitForClose()
            try await eventually("what came is kept") {
                try await client.offset(of: upload) == 700 ? true : nil
            }
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("a body under 1 KiB/s: connection closed")
    func slowBody() async throws {
        try await withServer(Self.body) { server in
            let client = try server.admin()
            let upload = try await client.initiate()
            let connection = try await server.connect()
            defer { connection.close() }
            try await client.startAppend(to: upload, on: connection)
            try await sendSlowly(Sample.bytes(200), on: connection)
        }
    }

    @Test("a body over 1 KiB/s may take longer")
    func steadyBody() async throws {
        try await withServer(["--body-timeout", "3s"]) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(200_000)
            let upload = try await client.initiate()
            let connection = try await server.connect()
            defer { connection.close() }
            try await client.startAppend(to: upload, .announced(bytes.count), on: connection)
            var sent = 0
            try await eventually("all is sent", every: .milliseconds(250)) {
                try await connection.send(Array(bytes[sent..<sent + 10_000]))
                sent += 10_000
                return sent == bytes.count ? true : nil
            }
            let answer = try await client.receive(.append(to: upload, bytes), on: connection)
            expect(answer, tellsOffset: bytes.count)
        }
    }

    @Test("an idle connection: closed, after an answer and before any request", arguments: [true, false])
    func idle(_ afterAnswer: Bool) async throws {
        try await withServer(Self.idle) { server in
            let start = ContinuousClock.now
            let connection = try await server.connect()
            defer { connection.close() }
            if afterAnswer {
                try await connection.send(Request.get("/health"))
                #expect(try await connection.receive().status == 200)
            }
            try await connection.waitForClose()
            #expect(ContinuousClock.now - start > .milliseconds(500), "not at once")
        }
    }
}
