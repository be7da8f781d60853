// Requests beyond the rates that the settings name.

import Foundation
import Testing

@Suite("Rates of requests", .inTurn)
struct RateLimitTests {
    @Test("a subject over its rate: 429 with Retry-After, before the body is read; another subject is served")
    func perSubject() async throws {
        try await withServer(["--rate-limit", "3/h"]) { server in
            let (first, second) = (try await server.client(), try await server.client())
            let upload = try await first.initiate()
            for _ in 0..<2 { #expect(try await first.send(.files()).status == 200) }
            let connection = try await server.connect()
            defer { connection.close() }
            let append = Request.append(
                to: upload, [], ["Content-Length": "1000000", "Expect": "100-continue"])
            try await connection.send(first.signed(append).head)
            let refused = try await first.receive(append, on: connection)
            expect(refused, is: .tooManyRequests)
            let seconds = try #require(refused.headers["Retry-After"].flatMap { Int($0) })
            #expect((1...1200).contains(seconds))
            #expect(try await second.send(.files()).status == 200)
            #expect(try await first.send(.get("/health")).status == 200)
        }
    }

    @Test("a client over its rate, behind a proxy: the others behind it are served")
    func perClient() async throws {
        try await withServer(["--rate-limit-per-address", "2/h", "--trusted-proxies", "127.0.0.1"]) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            for (client, status) in [
                ("192.0.2.1", 404), ("192.0.2.1", 404), ("192.0.2.1", 429), ("192.0.2.2", 404),
                ("1.2.3.4, 192.0.2.1", 429),
            ] {
                let digest = String(repeating: "a", count: 64)
                try await connection.send(Request.download(digest, ["X-Forwarded-For": client]))
                #expect(try await connection.receive().status == status)
            }
        }
    }
}
