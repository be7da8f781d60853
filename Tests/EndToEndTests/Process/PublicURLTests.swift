// A server behind a proxy under a path (`public-url`): what its answers name can be followed.

import Foundation
import Testing

@Suite("Under a path", .inTurn)
struct PublicURLTests {
    enum Way: String, CaseIterable, Sendable {
        case direct
        /// Clients and the server differ in what the root is.
        case directWithoutThePath
        case nginxThatKeepsThePath
        case nginxThatTakesItAway
    }

    /// A caller by one of these ways.
    private struct Caller {
        let client: Client
        let port: Int
        /// What the caller puts before the paths that it makes itself.
        let prefix: String
        let document: OpenAPIDocument

        func send(_ request: Request) async throws -> Response {
            let connection = try await HTTPConnection.open(port: port)
            defer { connection.close() }
            try await connection.send(client.signed(request))
            let response = try await connection.receive(for: request.method)
            if request.path.hasPrefix("/files/") {
                #expect(document.violations(of: response, to: request) == [], "\(request.target): \(response)")
            }
            return response
        }

        func send(made request: Request) async throws -> Response {
            var request = request
            request.target = prefix + request.target
            return try await send(request)
        }
    }

    private static func withCaller(by way: Way, _ body: (Caller) async throws -> Void) async throws {
        try await withServer(["--public-url", "https://pbx.example.com/files/"]) { server in
            let behind = "proxy_pass http://127.0.0.1:\(server.port)"
            let nginx: Nginx? =
                switch way {
                case .direct, .directWithoutThePath: nil
                case .nginxThatKeepsThePath: try await Nginx.start("location /files/ { \(behind); }")
                case .nginxThatTakesItAway: try await Nginx.start("location /files/ { \(behind)/; }")
                }
            let client = try await server.client()
            let root = try #require(try await client.send(.get("/openapi.json")).json)
            #expect(root["servers"]?[0]?["url"] == .string("https://pbx.example.com/files"))
            let prefix = way == .directWithoutThePath ? "" : "/files"
            let document = OpenAPIDocument(root: root)
            try await body(Caller(client: client, port: nginx?.port ?? server.port, prefix: prefix, document: document))
            try await nginx?.stop()
        }
    }

    @Test("an upload is begun, followed to its Location, completed and downloaded at its url", arguments: Way.allCases)
    func upload(_ way: Way) async throws {
        try await Self.withCaller(by: way) { caller in
            let bytes = try Sample.bytes(100_000)
            let begun = try await caller.send(made: .initiate(filename: "a.bin"))
            let upload = try Upload(begun)
            let place = try #require(begun.headers["Location"])
            #expect(place == "/files/api/blobs/uploads/\(upload.id)")
            let token: Headers = ["PortSIP-Upload-Token": upload.token]

            let append = Request(method: "POST", target: place + "/append", headers: token, body: .bytes(bytes))
            let appended = try await caller.send(append)
            #expect(appended.status == 203 && appended.headers["Upload-Offset"] == "100000")
            #expect(appended.headers["Location"] == place)
            #expect(try await caller.send(.get(place + "/status")).headers["Location"] == place)

            let digest = Sample.digest(of: bytes)
            let complete = Request(method: "POST", target: place + "/complete?digest=\(digest)", headers: token)
            let completed = try await caller.send(complete)
            #expect(completed.headers["Location"] == "/files/api/blobs/\(digest)")
            let published = try Published(completed)
            let url = try #require(published.body["url"]?.string)
            #expect(url == "/files/api/blobs/\(digest)")
            for _ in 0..<2 {
                let download = try await caller.send(.get(url))
                #expect(download.status == 200 && download.body == bytes)
            }

            let file = try await caller.send(made: .file(published.id))
            #expect(file.json?["url"] == .string(url))
            let list = try await caller.send(made: .files())
            #expect(list.json?["items"]?[0]?["url"] == .string(url))
            #expect(try await caller.send(made: .destroyFile(published.id)).status == 204)
            for path in ["/health", "/ready", "/metrics", "/openapi.json"] {
                #expect(try await caller.send(made: .get(path)).status == 200, "\(path)")
            }
        }
    }

    @Test("blob uploads and downloads there", arguments: [Way.nginxThatKeepsThePath, .nginxThatTakesItAway])
    func tool(_ way: Way) async throws {
        try await Self.withCaller(by: way) { caller in
            let blob = try await BlobTool(caller.client.server)
            let bytes = try Sample.bytes(200_000)
            _ = try blob.home.write(bytes, to: "a.bin")
            let server = ["--server", "http://127.0.0.1:\(caller.port)/files"]
            let upload = try await blob.run(["upload", "a.bin"] + server)
            #expect(upload.end == .code(0), "\(upload)")
            let download = try await blob.run(["download", Sample.digest(of: bytes), "-o", "b.bin"] + server)
            #expect(download.end == .code(0), "\(download)")
            #expect(try blob.home.read("b.bin") == bytes)
        }
    }

    @Test("routes are named as ever, and the log has the path that came")
    func names() async throws {
        try await Self.withCaller(by: .direct) { caller in
            let request = Request.get("/files/api/files").with(["X-Request-ID": "under-a-path"])
            #expect(try await caller.send(request).status == 200)
            let child = try #require(caller.client.server.child)
            let line = try #require(try await child.errors.line { $0.contains("request=under-a-path") })
            #expect(line.contains("route=files ") && line.contains("path=/files/api/files "), "\(line)")
            let metrics = try await caller.send(.get("/files/metrics")).text
            #expect(metrics.contains(#"route="files""#) && !metrics.contains(#"route="unknown""#), "\(metrics)")
        }
    }

    @Test("a URL that is none ends the start with a sentence")
    func wrongURL() async throws {
        let server = try ServerProcess()
        let outcome = try await server.command(["serve", "--public-url", "https://pbx.example.com/a//b"])
        #expect(outcome.end == .code(64))
        #expect(
            outcome.errors.contains(
                "public-url: 'https://pbx.example.com/a//b' from the flag --public-url must be an http"))
    }
}
