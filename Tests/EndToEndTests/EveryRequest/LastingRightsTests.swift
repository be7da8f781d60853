// Contract, common rules: a request goes on for as long as its token allows it, and no longer.

import Foundation
import Testing

@Suite("A token that ends while its request runs", .inTurn)
struct LastingRightsTests {
    private static let size = 34 << 20

    /// Two tokens of one subject: one that will end, and one that sees what became of its upload.
    private func clients(of server: ServerProcess) async throws -> (ending: Client, other: Client, name: String) {
        let name = "n-\(UUID().uuidString.lowercased())"
        return (
            try await server.namedClient(name, subject: name, "upload,read"),
            try await server.namedClient(name + "-2", subject: name, "upload,read"), name
        )
    }

    private func revoke(_ name: String, of server: ServerProcess) async throws {
        let outcome = try await server.command(["token", "revoke", name, "--data", server.data])
        #expect(outcome.end == .code(0), "\(outcome)")
    }

    @Test("a revoked token ends an append at its next checkpoint: 401 as for any request, and what arrived is kept")
    func revokedAppend() async throws {
        let server = try await ServerProcess.shared
        let (client, other, name) = try await clients(of: server)
        let bytes = [UInt8](repeating: 7, count: Self.size)
        let upload = try await client.initiate()
        let connection = try await server.connect()
        defer { connection.close() }
        try await client.startAppend(
            to: upload, .announced(Self.size + 1), sending: Array(bytes[..<1_000_000]), on: connection)
        try await revoke(name, of: server)
        // 32 MiB are a checkpoint; the last byte never comes.
        try? await connection.send(Array(bytes[1_000_000...]))
        let answer = try await client.receive(.append(to: upload, []), on: connection)
        expect(answer, is: .unauthorized)
        let usual = try await client.send(.status(of: upload))
        expect(usual, is: .unauthorized)
        #expect(answer.body == usual.body && answer.headers["WWW-Authenticate"] == usual.headers["WWW-Authenticate"])
        #expect(answer.headers["Upload-Offset"] == nil)
        let kept = try await other.offset(of: upload)
        #expect((32 << 20...Self.size).contains(kept))
        let rest = Array(bytes[kept...])
        #expect(try await other.complete(upload, .bytes(rest)).digest == Sample.digest(of: bytes))
    }

    @Test("a revoked token completes nothing, however much of the body had arrived")
    func revokedCompletion() async throws {
        let server = try await ServerProcess.shared
        let (client, other, name) = try await clients(of: server)
        let bytes = try Sample.bytes(50_000)
        let upload = try await client.initiate()
        let connection = try await server.connect()
        defer { connection.close() }
        let request = client.signed(
            .complete(upload, .none, ["Expect": "100-continue", "Content-Length": "\(bytes.count)"]))
        try await connection.send(request.head)
        #expect(try await connection.receiveInformational() == 100)
        try await connection.send(Array(bytes[..<40_000]))
        try await connection.waitUntilRead()
        try await revoke(name, of: server)
        try await connection.send(Array(bytes[40_000...]))
        expect(try await client.receive(request, on: connection), is: .unauthorized)
        #expect(try await !other.isPublished(bytes))
        #expect(try await other.offset(of: upload) == bytes.count)
        #expect(try await other.complete(upload).digest == Sample.digest(of: bytes))
    }
}
