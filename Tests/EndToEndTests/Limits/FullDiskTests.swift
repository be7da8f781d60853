// Contract, limits and overload: the disk is full. A small disk of the test's own, where the right to mount one is
// given.

import Foundation
import Testing

@Suite("A full disk", .inTurn, .enabled(if: Needs.mounting, "needs the right to mount a disk"))
struct FullDiskTests {
    private func run(_ command: [String], _ server: ServerProcess) async throws {
        let outcome = try await ChildProcess.run(command, in: server.folder.path)
        guard outcome.end == .code(0) else { throw Failure("\(command): \(outcome)") }
    }

    @Test(
        "507 INSUFFICIENT_STORAGE; the offset stays true; downloads go on; with space again so does the upload",
        arguments: [Framing.announced(11_000_000), .chunked])
    func full(_ framing: Framing) async throws {
        try await withServer(on: .memory()) { server in
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
    @Test("not a byte left: no step tells a lie or loses anything, and each works when there is room again")
    func everyStep() async throws {
        try await withServer(on: .memory()) { server in
            let client = try server.admin()
            let contents = try (0..<6).map { _ in try Sample.bytes(300_000) }
            let kept = try await client.publish(contents[0])
            let unwanted = try await client.publish(contents[1])
            let (begun, whole) = (try await client.initiate(), try await client.upload(holding: contents[3]))
            try await client.append(Array(contents[2][..<1000]), to: begun)
            let cancelled = try await client.upload(holding: contents[4])

            let ballast = Ballast(on: server)
            try ballast.fill()
            expect(try await client.send(.append(to: begun, Array(contents[2][1000...]))), is: .insufficientStorage)
            let offset = try await client.offset(of: begun)
            #expect((1000..<300_000).contains(offset))
            expect(try await client.send(.initiate()), is: .insufficientStorage)
            expect(try await client.send(.complete(whole)), is: .insufficientStorage)
            #expect(try await client.send(.destroy(cancelled)).status == 204)
            #expect(try await client.send(.destroyFile(unwanted.id)).status == 204)
            #expect(try await client.send(.download(kept.digest)).body == contents[0])
            #expect(try await client.send(.file(kept.id)).status == 200)
            #expect(try await client.send(.files()).status == 200)
            #expect(try await client.offset(of: begun) == offset)

            try ballast.remove()
            try await client.finish(begun, with: contents[2])
            try await client.finish(client.initiate(), with: contents[5])
            let again = try await client.send(.complete(whole))
            #expect(try Published(again).digest == Sample.digest(of: contents[3]))
            #expect(try await client.send(.status(of: cancelled)).status == 404)
            #expect(try await client.send(.file(unwanted.id)).status == 404)
            #expect(try await client.send(.download(kept.digest)).body == contents[0])
        }
    }

    @Test("under the floor: uploads are refused before their bytes; cancelling and deleting work, and make room")
    func floor() async throws {
        try await withServer(
            on: .memory(size: 24), ["--min-free-space", "8MiB", "--reclaim-interval", "1s", "--reclaim-grace", "0s"]
        ) { server in
            let client = try server.admin()
            let large = try Sample.bytes(5_000_000)
            let file = try await client.publish(large)
            let begun = try await client.upload(holding: [1, 2, 3])
            let cancelled = try await client.upload(holding: try Sample.bytes(1_000_000))
            let bytes = try Sample.bytes(4_000_000)
            expect(try await client.send(.append(to: begun, bytes)), is: .insufficientStorage)
            #expect(try await client.offset(of: begun) == 3)
            #expect(try await client.send(.destroy(cancelled)).status == 204)
            #expect(try await client.send(.download(file.digest)).body == large)
            #expect(try await client.send(.destroyFile(file.id)).status == 204)
            try await eventually("there is room") {
                try await client.send(.append(to: begun, bytes)).status == 203 ? true : nil
            }
            try await client.finish(begun, with: [1, 2, 3] + bytes)
        }
    }
}
