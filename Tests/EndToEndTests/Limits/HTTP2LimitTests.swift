// Contract, limits and overload, over HTTP/2: the limits are those of HTTP/1.1, but for a head that is too large for
// HTTP/2's decoder: it ends the connection without an answer.

import Foundation
import Testing

@Suite("HTTP/2 limits", .inTurn)
struct HTTP2LimitTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var headers: [String] = []
        var path = "/health"
        var refusal: Refusal?
    }

    private static func letters(_ count: Int) -> String { String(repeating: "a", count: count) }

    private static let server = Task {
        let server = try ServerProcess()
        try await server.start(["--tls-self-signed"])
        return server
    }

    static let rows = [
        Row(
            testDescription: "too many headers: 431", headers: (0..<200).map { "X-\($0): 1" },
            refusal: .headersTooLarge),
        Row(testDescription: "a URI over the limit: 414", path: "/" + letters(12 << 10), refusal: .uriTooLong),
        Row(
            testDescription: "what a client usually sends: 200", headers: ["X-Large: " + letters(4000)],
            path: "/health?" + letters(2000)),
    ]

    @Test("the size of a request's head", arguments: rows)
    func head(_ row: Row) async throws {
        let server = try await Self.server.value
        let arguments = row.headers.flatMap { ["-H", $0] } + [server.address + row.path]
        let answer = try await Curl.run(["-k", "--http2"] + arguments, in: server.folder)
        #expect(answer.version == "2")
        #expect(answer.response.headers["X-Request-ID"]?.isEmpty == false)
        if let refusal = row.refusal {
            expect(answer.response, is: refusal)
        } else {
            #expect(answer.response.status == 200, "\(answer.response)")
        }
    }

    @Test(
        "a head of more than 16 KiB: connection closed at once",
        arguments: [
            Row(testDescription: "a header", headers: ["X-Large: " + letters(20 << 10)]),
            Row(testDescription: "a URI", path: "/health?" + letters(20 << 10)),
        ])
    func largeHead(_ row: Row) async throws {
        let server = try await Self.server.value
        let arguments = row.headers.flatMap { ["-H", $0] } + [server.address + row.path]
        let outcome = try await ChildProcess.run(
            ["curl", "-sSk", "--http2", "--max-time", "20"] + arguments, in: server.folder.path)
        #expect(outcome.end != .code(0) && outcome.end != .code(28), "neither answered nor left waiting: \(outcome)")
        let after = try await Curl.run(["-k", "--http2", server.address + "/health"], in: server.folder)
        #expect(after.response.status == 200, "and the server goes on")
    }

    @Test("an idle connection: closed", .enabled(if: Needs.openSSL))
    func idle() async throws {
        try await withServer(TimeoutTests.idle + ["--tls-self-signed"]) { server in
            let start = ContinuousClock.now
            let client = try await ChildProcess.run(
                ["openssl", "s_client", "-ign_eof", "-alpn", "h2", "-connect", "127.0.0.1:\(server.port)"],
                in: server.folder.path)
            #expect(client.output.contains("ALPN protocol: h2"), "\(client)")
            #expect(ContinuousClock.now - start > .milliseconds(500), "not at once")
        }
    }
}
