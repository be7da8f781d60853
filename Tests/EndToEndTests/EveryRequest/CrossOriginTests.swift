// Pages of other origins: what browsers ask for before they let one use the server (`cors-origins`).

import Foundation
import Testing

@Suite("Pages of other origins", .inTurn)
struct CrossOriginTests {
    private static let app = "https://app.example.com"
    private static let flags = ["--cors-origins", "\(app),http://localhost:5173"]

    /// The names of all fields of an answer that browsers look for.
    private static func fields(of response: Response) -> Set<String> {
        Set(response.headers.fields.map { $0.name.lowercased() }.filter { $0.hasPrefix("access-control-") })
    }

    private static func expectReadable(
        _ response: Response, by origin: String = app, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            response.headers.all("Access-Control-Allow-Origin") == [origin], "\(response)",
            sourceLocation: sourceLocation)
        let exposed = (response.headers["Access-Control-Expose-Headers"] ?? "").split(separator: ", ")
        for name in ["Location", "Upload-Offset", "PortSIP-Upload-Token", "Retry-After", "X-Request-ID"] {
            #expect(exposed.contains(Substring(name)), "\(response)", sourceLocation: sourceLocation)
        }
        #expect(
            response.headers.all("Vary") == (origin == "*" ? [] : ["Origin"]), "\(response)",
            sourceLocation: sourceLocation)
    }

    @Test("a preflight of each operation that the server lists is answered without a token")
    func preflights() async throws {
        try await withServer(Self.flags + ["--private-downloads"]) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            func answer(_ request: Request) async throws -> Response {
                try await connection.send(request)
                return try await connection.receive(for: request.method)
            }
            let root = try #require(try await answer(.get("/openapi.json")).json)
            let methods: Set = ["get", "head", "post", "put", "patch", "delete"]
            let operations = OpenAPIDocument(root: root).paths.flatMap { path, item in
                (item.object ?? [:]).keys.filter(methods.contains).map { (path: path, method: $0.uppercased()) }
            }
            #expect(operations.count >= 12)
            for operation in operations {
                let path = operation.path.replacing(/\{[^}]*\}/, with: "x")
                let asked: Headers = [
                    "Origin": Self.app, "Access-Control-Request-Method": operation.method,
                    "Access-Control-Request-Headers": "authorization,content-type,portsip-upload-token",
                ]
                let response = try await answer(Request(method: "OPTIONS", target: path, headers: asked))
                #expect(response.status == 204, "\(operation)")
                Self.expectReadable(response)
                let allowed = (response.headers["Access-Control-Allow-Methods"] ?? "").split(separator: ", ")
                #expect(allowed.contains(Substring(operation.method)), "\(response)")
                #expect(response.headers["Access-Control-Allow-Methods"] == response.headers["Allow"])
                let names = Set(
                    (response.headers["Access-Control-Allow-Headers"] ?? "").lowercased().split(separator: ", "))
                #expect(names.isSuperset(of: ["authorization", "content-type", "portsip-upload-token"]), "\(response)")
                #expect(response.headers["Access-Control-Max-Age"] == "86400")
                #expect(!Self.fields(of: response).contains("access-control-allow-credentials"))
            }
        }
    }

    @Test("an upload and its download, remembered or not, with all that a page reads; and their errors")
    func transfer() async throws {
        try await withServer(Self.flags + ["--max-blob-size", "10", "--max-open-uploads", "1"]) { server in
            let client = try await server.client()
            func send(_ request: Request, _ status: Int) async throws -> Response {
                let response = try await client.send(request.with(["Origin": Self.app]))
                #expect(response.status == status)
                Self.expectReadable(response)
                return response
            }
            let upload = try Upload(await send(.initiate(filename: "a.txt"), 202))
            _ = try await send(.initiate(), 429)
            _ = try await send(.append(to: upload, [1, 2, 3]), 203)
            _ = try await send(.append(to: upload, [4], ["Upload-Offset": "9"]), 409)
            _ = try await send(.append(to: upload, Array(repeating: 0, count: 20)), 413)
            _ = try await send(.append(to: Upload(id: upload.id, token: "x"), [1]), 400)
            _ = try await send(.status(of: upload), 204)
            let published = try Published(await send(.complete(upload), 201))
            for _ in 0..<2 {
                let response = try await send(.download(published.digest), 200)
                #expect(response.body == [1, 2, 3])
                #expect(response.headers["Cross-Origin-Resource-Policy"] == "cross-origin")
            }
            _ = try await send(.head(published.digest), 200)
            _ = try await send(.download(published.digest, ["Range": "bytes=1-1"]), 206)
            _ = try await send(.download(published.digest, ["Range": "bytes=9-"]), 416)
            _ = try await send(.download(published.digest, ["If-None-Match": "*"]), 304)
            _ = try await send(.download(published.digest, ["If-Match": "\"x\""]), 412)
            _ = try await send(.download(String(repeating: "0", count: 64)), 404)
            _ = try await send(.download("0"), 400)
            _ = try await send(.files(), 200)
            _ = try await send(.get("/nope"), 404)
            _ = try await send(Request(method: "DELETE", target: "/api/files"), 405)
            let stranger = try await client.anonymous.send(.files().with(["Origin": Self.app]))
            expect(stranger, is: .unauthorized)
            Self.expectReadable(stranger)
        }
    }

    @Test("refusals for now: the rate limiter's, of a server that is read-only")
    func refusals() async throws {
        for (flags, statuses) in [(["--rate-limit", "1/h"], [202, 429]), (["--read-only"], [503])] {
            try await withServer(Self.flags + flags) { server in
                let client = try await server.client()
                for status in statuses {
                    let response = try await client.send(.initiate().with(["Origin": "http://localhost:5173"]))
                    #expect(response.status == status)
                    Self.expectReadable(response, by: "http://localhost:5173")
                }
            }
        }
    }

    @Test("with * every page may, and answers do not depend on who asks")
    func everybody() async throws {
        try await withServer(["--cors-origins", "*"]) { server in
            let client = try await server.client()
            for headers: Headers in [["Origin": "https://anywhere.example"], ["Origin": "null"], [:]] {
                Self.expectReadable(try await client.send(.files().with(headers)), by: "*")
            }
        }
    }

    @Test(
        "other pages, and all where no origin is set: the usual answer, and no field that a proxy could double",
        arguments: [flags, [], ["--cors-origins", "none"]])
    func others(_ flags: [String]) async throws {
        try await withServer(flags) { server in
            let client = try await server.client()
            let digest = try await client.publish(Array("others".utf8)).digest
            for request in [Request.files(), .download(digest), .download(digest), .get("/nope")] {
                let usual = try await client.send(request)
                let response = try await client.send(request.with(["Origin": "https://app.example.com.evil.example"]))
                #expect(response.status == usual.status && response.body.count == usual.body.count)
                #expect(Self.fields(of: response) == [] && Self.fields(of: usual) == [])
                #expect(response.headers.all("Vary") == (flags == Self.flags ? ["Origin"] : []))
                if response.status == 200, request.path != "/api/files" {
                    let policy = flags == Self.flags ? "cross-origin" : "same-site"
                    #expect(response.headers["Cross-Origin-Resource-Policy"] == policy)
                }
            }
        }
    }

    @Test("over HTTP/2, too", arguments: [("OPTIONS", 204), ("POST", 401)])
    func http2(_ method: String, _ status: Int) async throws {
        try await withServer(Self.flags + ["--tls-self-signed"]) { server in
            let headers = ["Origin: \(Self.app)", "Access-Control-Request-Method: POST"].flatMap { ["-H", $0] }
            let url = server.address + "/api/blobs/uploads"
            let answer = try await Curl.run(["-k", "--http2", "-X", method] + headers + [url], in: server.folder)
            #expect(answer.version == "2" && answer.response.status == status)
            Self.expectReadable(answer.response)
            #expect((answer.response.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS") == (status == 204))
        }
    }

    @Test("an origin that is none ends the start with a sentence")
    func wrongOrigin() async throws {
        let server = try ServerProcess()
        let outcome = try await server.command(["serve", "--cors-origins", "https://app.example.com/"])
        #expect(outcome.end == .code(64))
        #expect(
            outcome.errors.contains(
                "cors-origins: 'https://app.example.com/' from the flag --cors-origins must be none, *"))
    }
}
