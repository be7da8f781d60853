// Contract, limits and overload: the disk is full. A small disk of the test's own, where the right to mount one is
// given.

import Foundation
import Testing

@Suite("A full disk", .inTurn, .enabled(if: Needs.mounting, "needs the right to mount a disk"))
struct FullDiskTests {
    /// Runs `body` with a server whose data directory is a disk of 16 MiB.
    private func withSmallDisk(_ body: (ServerProcess) async throws -> Void) async throws {
        let server = try ServerProcess()
        try FileManager.default.createDirectory(atPath: server.data, withIntermediateDirectories: false)
        try await run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "blobd-e2e", server.data], server)
        LeftBehind.mounted(disk: server.data)
        defer { LeftBehind.unmount(disk: server.data) }
        do {
            try await server.start()
            try await body(server)
        } catch {
            try? await server.kill()
            throw error
        }
        try await server.kill()
    }

    private func run(_ command: [String], _ server: ServerProcess) async throws {
        let outcome = try await ChildProcess.run(command, in: server.folder.path)
        guard outcome.end == .code(0) else { throw Failure("\(command): \(outcome)") }
    }

    @Test(
        "507 INSUFFICIENT_STORAGE; the offset stays true; downloads go on; with space again so does the upload",
        arguments: [Framing.announced(11_000_000), .chunked])
    func full(_ framing: Framing) async throws {
        try await withSmallDisk { server in
            let client = try server.admin()
            let blob = try Sample.bytes(6_000_000)
            let published = try await client.publish(blob)
            let bytes = try Sample.bytes(12_000_000)
            let upload = try await client.upload(holding: Array(bytes[..<1_000_000]))
            let rest = Array(bytes[1_000_000...])
            let body: Request.Body = framing == .chunked ? .chunked([rest]) : .bytes(rest)
            expect(try await client.send(.append(to: upload, body)), is: .insufficientStorage)
            let offset = try await client.offset(of: upload)
            #expect((1_000_000..<12_000_000).contains(offset))
            #expect(try await client.send(.download(published.digest)).body == blob)

            try await run(["mount", "-o", "remount,size=64m", server.data], server)
            try await client.finish(upload, with: bytes)
        }
    }
}
