// Issue 2, `blobd`: one line per request at info, as text or JSON.

import Foundation
import Testing

@Suite("The log", .inTurn)
struct LogTests {
    /// The whole line of a request that was sent with this id.
    private func line(of id: String, from server: ServerProcess) async throws -> String {
        let child = try #require(server.child)
        let line = try await eventually("the request is logged") {
            let text = child.errors.soFar + child.output.soFar
            return text.split(separator: "\n").first { $0.contains(id) }
        }
        return String(line)
    }

    @Test(
        "a request's line has its method, path, route, status, bytes, time, id, subject and peer",
        arguments: ["text", "json"])
    func line(_ format: String) async throws {
        try await withServer(["--log-format", format]) { server in
            let client = try await server.namedClient("ada", "upload")
            let id = UUID().uuidString
            let upload = try await client.initiate()
            let request = Request.append(to: upload, try Sample.bytes(4321)).with(["X-Request-ID": id])
            #expect(try await client.send(request).status == 203)
            let line = try await line(of: id, from: server)
            for part in [
                "POST", "append", "203", "4321", "ada", "/api/blobs/uploads/\(upload.id)/append", "127.0.0.1:",
            ] {
                #expect(line.contains(part), "\(line)")
            }
            #expect(line.contains("ms"), "\(line)")
            #expect(!line.contains(upload.token))
            if format == "json" {
                let json = try JSONDecoder().decode(JSON.self, from: Data(line.utf8))
                #expect(json.object?.isEmpty == false)
            }
        }
    }

    @Test("bytes that are no request have a line too, with the code of the refusal, and are counted")
    func refusal() async throws {
        try await withServer { server in
            let connection = try await server.connect()
            defer { connection.close() }
            try await connection.send("nonsense\r\n\r\n")
            let answer = try await connection.receive()
            let line = try await line(of: try #require(answer.headers["X-Request-ID"]), from: server)
            for part in ["status=400", "code=BAD_REQUEST", "peer=127.0.0.1:\(connection.localPort)"] {
                #expect(line.contains(part), "\(line)")
            }
            let metrics = try await server.admin().send(.get("/metrics")).text
            #expect(metrics.contains(#"{method="other",route="unknown",status="400"} 1"#), "\(metrics)")
        }
    }

    @Test("nothing that a client sends makes a second line")
    func injection() async throws {
        try await withServer(["--log-level", "debug"]) { server in
            let client = try server.admin()
            let id = UUID().uuidString
            let request = Request(method: "POST", target: "/api/blobs/uploads?filename=a%0Ainjected%20line")
            _ = try await client.send(request.with(["X-Request-ID": id, "User-Agent": "a\tb"]))
            _ = try await line(of: id, from: server)
            let text = server.child?.errors.soFar ?? ""
            #expect(!text.split(separator: "\n").contains { $0.hasPrefix("injected") })
        }
    }

    @Test("--log-level keeps requests out of it")
    func level() async throws {
        try await withServer(["--log-level", "error"]) { server in
            let id = UUID().uuidString
            _ = try await server.admin().send(.files().with(["X-Request-ID": id]))
            let child = try #require(server.child)
            #expect(try await server.stop() == .code(0))
            let text = await child.output.whole() + child.errors.whole()
            #expect(!text.contains(id))
        }
    }
}
