// Behind proxies: who the client is, for the log, and whom nobody believes.

import Foundation
import Testing

@Suite("Behind proxies", .inTurn)
struct ProxyTests {
    private static let health = Request.get("/health")

    private static func logLine(of server: ServerProcess, _ id: String) async throws -> String {
        let child = try #require(server.child)
        return try #require(try await child.errors.line { $0.contains("request=\(id)") })
    }

    @Test(
        "the client that a trusted proxy names stands in the log, and nobody else's",
        arguments: [("127.0.0.0/8", true), ("10.0.0.0/8,fd00::/8", false), ("none", false)])
    func forwarded(_ proxies: String, isBelieved: Bool) async throws {
        try await withServer(["--trusted-proxies", proxies]) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            for (name, value) in [
                ("X-Forwarded-For", "198.51.100.9, 192.0.2.7"), ("Forwarded", "for=192.0.2.7;proto=https"),
            ] {
                let id = "of-\(name)"
                try await connection.send(Self.health.with(["X-Request-ID": id, name: value]))
                #expect(try await connection.receive().status == 200)
                let line = try await Self.logLine(of: server, id)
                #expect(line.contains("client=192.0.2.7") == isBelieved, "\(line)")
                #expect(line.contains("peer=127.0.0.1:"), "\(line)")
            }
        }
    }

    @Test("a proxy whose headers name two clients: 400, and from anybody else both are ignored")
    func contradiction() async throws {
        let request = Self.health.with(["X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.8"])
        for (proxies, status) in [("127.0.0.1", 400), ("10.0.0.0/8", 200)] {
            try await withServer(["--trusted-proxies", proxies]) { server in
                let answer = try await server.admin().send(request)
                #expect(answer.status == status)
            }
        }
    }

    private static let header: [UInt8] =
        [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12]
        + [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x22, 0xB7]

    @Test("PROXY protocol: for whom the connection is; without its header, or from others, none is served")
    func proxyProtocol() async throws {
        let flags = ["--proxy-protocol", "--header-timeout", "1s", "--max-connections-per-address", "1"]
        try await withServer(["--trusted-proxies", "127.0.0.1"] + flags) { server in
            let (whole, inPieces) = (try await server.connect(), try await server.connect())
            defer { [whole, inPieces].forEach { $0.close() } }
            try await whole.send(Self.header + Self.health.with(["X-Request-ID": "whole"]).encoded)
            #expect(try await whole.receive().status == 200)
            #expect(try await Self.logLine(of: server, "whole").contains("peer=192.0.2.7:4711"))
            try await inPieces.send(Array(Self.header.prefix(20)))
            try await inPieces.waitUntilRead()
            try await inPieces.send(Array(Self.header.dropFirst(20)))
            try await inPieces.waitUntilRead()
            try await inPieces.send(Self.health)
            #expect(try await inPieces.receive().status == 200)
            // It is the second of that client, whose first idles.
            try await whole.waitForClose()

            for bytes in [Self.health.encoded, [], Array(Self.header.prefix(20))] {
                let other = try await server.connect()
                defer { other.close() }
                if !bytes.isEmpty { try await other.send(bytes) }
                #expect(try await other.receiveIfAny() == nil)
            }
        }
        try await withServer(["--trusted-proxies", "10.0.0.0/8"] + flags) { server in
            let connection = try await server.connect()
            defer { connection.close() }
            try? await connection.send(Self.header + Self.health.encoded)
            #expect(try await connection.receiveIfAny() == nil)
            let child = try #require(server.child)
            _ = try await child.errors.line { $0.contains("it is from none of the trusted proxies") }
        }
    }
}
