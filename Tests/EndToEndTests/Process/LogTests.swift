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
            let fields = format == "json" ? try Self.json(line) : Self.text(line)
            for (key, value) in [
                ("method", "POST"), ("route", "append"), ("path", "/api/blobs/uploads/\(upload.id)/append"),
                ("status", "203"), ("in", "4321"), ("out", "0"), ("subject", "ada"), ("request", id),
            ] {
                #expect(fields[key] == value, "\(key) in \(line)")
            }
            #expect(fields["ms"].flatMap { Double($0) } ?? -1 > 0, "\(line)")
            #expect(fields["peer"]?.wholeMatch(of: /127\.0\.0\.1:\d+/) != nil, "\(line)")
            #expect(!line.contains(upload.token))
        }
    }

    @Test(
        "the lines of complete and delete have the file's id, name, digest and size; a name makes no key and no line",
        arguments: ["text", "json"])
    func files(_ format: String) async throws {
        try await withServer(["--log-format", format]) { server in
            let client = try server.admin()
            let name = "a b\" status=500 می\u{200C}خواهم.txt"
            let bytes = try Sample.bytes(77)
            let upload = try await client.initiate(filename: name)
            let (made, gone) = (UUID().uuidString, UUID().uuidString)
            let answer = try await client.send(.complete(upload, .bytes(bytes)).with(["X-Request-ID": made]))
            #expect(answer.status == 201)
            let id = try #require(answer.json?["id"]?.string)
            #expect(try await client.send(.destroyFile(id).with(["X-Request-ID": gone])).status == 204)
            for request in [made, gone] {
                let line = try await line(of: request, from: server)
                if format == "json" {
                    let fields = try Self.json(line)
                    #expect(fields["name"] == name && fields["file"] == id && fields["size"] == "77", "\(line)")
                    #expect(fields["digest"] == Sample.digest(of: bytes), "\(line)")
                } else {
                    for part in [
                        "digest=\(Sample.digest(of: bytes)) ", "size=77 ", "file=",
                        #" name="a b\" status=500 می\u{200c}خواهم.txt" "#,
                    ] {
                        #expect(line.contains(part), "\(part) in \(line)")
                    }
                }
            }
        }
    }

    private static func text(_ line: String) -> [String: String] {
        let pairs = line.split(separator: " ").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        return Dictionary(pairs.filter { $0.count == 2 }.map { ($0[0], $0[1]) }) { first, _ in first }
    }

    private static func json(_ line: String) throws -> [String: String] {
        let object = try JSONDecoder().decode(JSON.self, from: Data(line.utf8)).object
        return try #require(object).compactMapValues { value in
            switch value {
            case .string(let text): text
            case .integer(let number): String(number)
            case .number(let number): String(number)
            default: nil
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
            // Characters that may be taken for the end of a line, in a path, and an id of the request that is not
            // well-formed.
            let path = "/a%0Ainjected%E2%80%A8injected%C2%85injected"
            let answer = try await server.admin().send(.get(path).with(["X-Request-ID": "a\tinjected"]))
            let id = try #require(answer.headers["X-Request-ID"])
            #expect(!id.contains("injected"))
            #expect(try await line(of: id, from: server).contains("path=" + path), "what was sent is logged")
            let log = try #require(server.child).errors.soFar
            let end = try #require(log.lastIndex(of: "\n"))
            for line in log[..<end].split(whereSeparator: \.isNewline) {
                #expect(line.prefixMatch(of: #/\d{4}-\d\d-\d\dT[0-9:.]+Z [a-z]+ /#) != nil, "\(line)")
            }
        }
    }

    @Test("--log-level keeps requests out of it")
    func level() async throws {
        try await withServer(["--log-level", "error"]) { server in
            let id = UUID().uuidString
            _ = try await server.admin().send(.files().with(["X-Request-ID": id]))
            let child = try #require(server.child)
            #expect(try await server.stop() == .code(0))
            let text = try await child.output.whole() + child.errors.whole()
            #expect(!text.contains(id))
        }
    }
}
