// Contract, common rules: 405 with Allow for an unknown method on a known path, 404 for an unknown path, and the
// request id on every response.

import Foundation
import Testing

@Suite("Routing", .inTurn)
struct RoutingTests {
    static let upload = "/api/blobs/uploads/00000000-0000-4000-8000-000000000000"
    static let blob = "/api/blobs/" + String(repeating: "0", count: 64)

    @Test(
        "an unknown method on a known path: 405 with Allow",
        arguments: [
            ("GET", "/api/blobs/uploads", "POST"), ("HEAD", "/api/blobs/uploads", "POST"),
            ("DELETE", "/api/blobs/uploads", "POST"), ("PUT", "/api/blobs/uploads", "POST"),
            ("GET", upload + "/append", "POST"), ("PATCH", upload + "/append", "POST"),
            ("POST", upload + "/status", "GET"), ("PUT", upload + "/complete", "POST"),
            ("GET", upload + "/complete", "POST"), ("DELETE", upload + "/destroy", "POST"),
            ("PUT", blob, "GET, HEAD"), ("DELETE", blob, "GET, HEAD"), ("POST", blob, "GET, HEAD"),
            ("POST", "/api/files", "GET"), ("DELETE", "/api/files/MQ==", "GET"), ("PUT", "/api/files/MQ==", "GET"),
            ("GET", "/api/files/MQ==/destroy", "POST"), ("POST", "/health", "GET"), ("DELETE", "/ready", "GET"),
            ("PUT", "/metrics", "GET"), ("POST", "/openapi.json", "GET"),
        ])
    func methodNotAllowed(_ method: String, _ path: String, _ allowed: String) async throws {
        let response = try await Client.shared.send(Request(method: method, target: path))
        if method == "HEAD" {
            #expect(response.status == 405)
        } else {
            expect(response, is: .methodNotAllowed)
        }
        let list = { (text: String) in Set(text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }) }
        let allow = list(response.headers["Allow"] ?? "")
        #expect(allow.isSuperset(of: list(allowed)) && !allow.contains(method), "\(response)")
    }

    @Test("/api/blobs/uploads is never read as a digest")
    func uploadsIsNoDigest() async throws {
        expect(try await Client.shared.send(.get("/api/blobs/uploads")), is: .methodNotAllowed)
        expect(
            try await Client.shared.anonymous.send(.get("/api/blobs/uploads/")),
            isOneOf: [.methodNotAllowed, .notFound, .unauthorized])
    }

    @Test(
        "an unknown path: 404 NOT_FOUND",
        arguments: [
            ("GET", "/"), ("GET", "/nope"), ("GET", "/api"), ("GET", "/api/nope"), ("POST", "/api/blobs"),
            ("GET", upload + "/nope"), ("POST", upload + "/append/more"), ("GET", blob + "/more"),
            ("POST", "/api/files/MQ==/nope"), ("GET", "/api/../etc/passwd"), ("GET", "/admin-token"),
            ("GET", "/data/admin-token"), ("GET", "/api/blobs/uploads/../../../etc/passwd"),
        ])
    func notFound(_ method: String, _ path: String) async throws {
        expect(try await Client.shared.send(Request(method: method, target: path)), is: .notFound)
    }
}

@Suite("X-Request-ID", .inTurn)
struct RequestIDTests {
    static let requests: [Request] = [
        .get("/health"), .get("/nope"), .files(), .download(String(repeating: "0", count: 64)),
    ]

    @Test("a sane one is echoed, on answers and on refusals", arguments: requests)
    func echoed(_ request: Request) async throws {
        for id in [UUID().uuidString, UUID().uuidString.lowercased(), "abc-123", "7"] {
            let response = try await Client.shared.anonymous.send(request.with(["X-Request-ID": id]))
            #expect(response.headers.all("X-Request-ID") == [id])
        }
    }

    @Test(
        "one that is not sane is replaced",
        arguments: [
            String(repeating: "a", count: 1000), "white space", "tab\there", "<script>", "\"quoted\"", "a;b", "\u{e9}",
            "\u{1}", "",
        ])
    func replaced(_ id: String) async throws {
        let connection = try await ServerProcess.shared.connect()
        defer { connection.close() }
        try await connection.send(Request.get("/health").with(["X-Request-ID": id]))
        let response = try await connection.receive()
        let ids = response.headers.all("X-Request-ID")
        #expect(ids.count == 1 && ids.first != id && ids.first?.isEmpty == false, "\(response)")
    }

    @Test("without one each answer gets its own")
    func made() async throws {
        let first = try await Client.shared.send(.get("/health")).headers["X-Request-ID"]
        let second = try await Client.shared.send(.get("/health")).headers["X-Request-ID"]
        #expect(first != second)
    }
}
