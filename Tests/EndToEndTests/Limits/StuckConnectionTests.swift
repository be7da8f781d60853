// Connections on which nothing goes on, in every state that one can be in: none stays for ever, and none is closed
// early.

import Foundation
import Testing

@Suite("Stuck connections", .inTurn)
struct StuckConnectionTests {
    @Test("an answer before the body has come: the connection does not wait for the body for ever")
    func earlyAnswer() async throws {
        try await withServer(["--header-timeout", "1s"]) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            try await connection.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
            expect(try await connection.receive(for: "POST"), is: .notFound)
            try await connection.waitForClose()
        }
    }

    @Test("a TLS handshake that does not begin: connection closed")
    func silentHandshake() async throws {
        try await withServer(["--tls-self-signed", "--header-timeout", "1s"]) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            try await connection.waitForClose()
        }
    }

    @Test("a TLS handshake that does not begin does not hold up a stop")
    func handshakeAtStop() async throws {
        try await withServer(["--tls-self-signed", "--header-timeout", "60s"]) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            // The answer on a later connection shows that the server has accepted the first.
            _ = try await Curl.run(["-k", server.address + "/health"], in: server.folder)
            let start = ContinuousClock.now
            #expect(try await server.stop() == .code(0))
            #expect(ContinuousClock.now - start < .seconds(15))
        }
    }

    @Test("a client that stops reading its download: connection closed")
    func silentReader() async throws {
        try await withServer(["--send-timeout", "1s"]) { server in
            let published = try await server.admin().publish(Sample.bytes(16 << 20))
            let connection = try await server.connect(receiveBuffer: 4096)
            defer { connection.close() }
            try await connection.send(Request.download(published.digest))
            let child = try #require(server.child)
            let line = try await child.errors.line { $0.contains("route=download") }
            #expect(line?.contains("aborted=true") == true)
        }
    }

    @Test("a client that asks on and on and reads nothing: its answers do not pile up")
    func silentAsker() async throws {
        try await withServer(["--send-timeout", "2s", "--log-level", "error"]) { server in
            let client = try server.admin()
            let request = Request.download(try await client.publish(Sample.bytes(60_000)).digest)
            _ = try await client.send(request)
            let connection = try await server.connect(receiveBuffer: 4096)
            defer { connection.close() }
            // 600 MB of answers, if they were made.
            let requests = (0..<10_000).flatMap { _ in request.encoded }
            let sending = Task { try await connection.send(requests) }
            let pid = try #require(server.child).pid
            try await connection.waitUntilSilent()
            #expect(try residentByteCount(of: pid) < 300 << 20)
            connection.reset()
            _ = try? await sending.value
        }
    }

    @Test("between requests a connection may idle longer than a request's headers may take")
    func idleIsNotSlow() async throws {
        try await withServer(["--header-timeout", "1s", "--idle-timeout", "10s"]) { server in
            let client = try server.admin()
            let request = Request.download(try await client.publish(Sample.bytes(100)).digest)
            let (hot, refused) = (try await server.connect(), try await server.connect())
            defer {
                hot.close()
                refused.close()
            }
            // The second one is answered while the request is received.
            for _ in 0..<2 { #expect(try await client.send(request, on: hot).status == 200) }
            let early = Request(method: "POST", target: "/x", body: .bytes([1]))
            expect(try await client.send(early, on: refused), is: .notFound)
            await #expect(throws: Failure.self, "still open") {
                try await hot.waitForClose(within: .milliseconds(2500))
            }
            for connection in [hot, refused] {
                #expect(try await client.send(request, on: connection).status == 200)
            }
        }
    }

    @Test("HTTP/1.0: closed after the answer, unless it was asked to stay")
    func oldVersion() async throws {
        let closing = try await ServerProcess.shared.connect()
        let staying = try await ServerProcess.shared.connect()
        defer {
            closing.close()
            staying.close()
        }
        try await closing.send("GET /health HTTP/1.0\r\n\r\n")
        #expect(try await closing.receive().status == 200)
        try await closing.waitForClose()
        for _ in 0..<2 {
            try await staying.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try await staying.receive().status == 200)
        }
    }
}

private func residentByteCount(of pid: pid_t) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    let words = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }?.split(separator: " ")
    return try #require(words.flatMap { $0.count == 3 ? Int($0[1]) : nil }) * 1024
}
