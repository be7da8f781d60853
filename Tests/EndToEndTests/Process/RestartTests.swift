// The data that a server that ends, in good order or not, leaves for its next start: contract, uploads (durable
// offsets), and issue 2 (SIGTERM drains; kill -9 in the middle of an upload).

import Foundation
import Testing

@Suite("Killed and started again", .inTurn)
struct KillTests {
    @Test("every offset that was told survives; the upload goes on from there, with the same token")
    func acknowledged() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(3_000_000)
            let upload = try await client.initiate(filename: "a.bin")
            var offset = 0
            for piece in [1, 999, 70_000, 1_000_000] {
                let request = Request.append(to: upload, Array(bytes[offset..<offset + piece]))
                offset += piece
                expect(try await client.send(request), tellsOffset: offset)
                try await server.kill()
                try await server.start()
                let status = try await client.send(.status(of: upload))
                expect(status, tellsOffset: offset)
                #expect(status.headers["PortSIP-Upload-Token"] == upload.token)
            }
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("in the middle of an append: status tells an offset that is true, and the digest comes out right")
    func middle() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(20_000_000)
            let upload = try await client.upload(holding: Array(bytes[..<500]))
            let connection = try await server.connect()
            defer { connection.close() }
            try await client.startAppend(to: upload, .announced(bytes.count), on: connection)
            try await connection.send(Array(bytes[500..<15_000_000]))
            try await server.kill()
            try await server.start()
            let offset = try await client.offset(of: upload)
            #expect((500...15_000_000).contains(offset))
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("the offset that status told of a live append is durable")
    func told() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(40_000_000)
            let upload = try await client.initiate()
            let connection = try await server.connect()
            defer { connection.close() }
            try await client.startAppend(to: upload, .announced(bytes.count), on: connection)
            try await connection.send(Array(bytes[..<35_000_000]))
            let told = try await eventually("some of it is durable") {
                let offset = try await client.offset(of: upload)
                return offset > 0 ? offset : nil
            }
            try await server.kill()
            try await server.start()
            #expect(try await client.offset(of: upload) >= told)
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("what a cut connection left is durable once it was told")
    func cut() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            let upload = try await client.initiate()
            let connection = try await server.connect()
            try await client.startAppend(to: upload, sending: Array(bytes[..<700]), on: connection)
            connection.close()
            try await eventually("status tells what arrived") {
                try await client.offset(of: upload) == 700 ? true : nil
            }
            try await server.kill()
            try await server.start()
            #expect(try await client.offset(of: upload) == 700)
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("what a cut connection left and nobody was told of yet is told after the start, so that no bytes are doubled")
    func cutAndUntold() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            let upload = try await client.initiate()
            let connection = try await server.connect()
            try await client.startAppend(to: upload, sending: Array(bytes[..<700]), on: connection)
            connection.close()
            // Status would tell the offset: the log says when the append is over.
            let path = "/uploads/\(upload.id)/append"
            #expect(try await server.child?.errors.line { $0.contains(path) } != nil)
            try await server.kill()
            try await server.start()
            let rest = Request.append(to: upload, Array(bytes[700...]))
            let told = try await client.send(rest)
            expect(told, is: .rangeInvalid)
            expect(told, tellsOffset: 700)
            let appended = try await client.send(rest)
            #expect(appended.status == 203)
            expect(appended, tellsOffset: 1000)
            #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
        }
    }

    @Test("a 201 survives: the blob, its file, the admin's token, and completing again")
    func completed() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(100_000)
            let upload = try await client.upload(holding: bytes, filename: "a.bin")
            let request = Request.complete(upload, digest: Sample.digest(of: bytes))
            let first = try await client.send(request)
            #expect(first.status == 201)
            try await server.kill()
            try await server.start()
            #expect(try server.admin().bearer == client.bearer)
            #expect(try await client.send(.download(Sample.digest(of: bytes))).body == bytes)
            let again = try await client.send(request)
            #expect(again.status == 201 && again.json == first.json)
            #expect(try await client.send(.files()).json?["count"]?.integer == 1)
        }
    }

    @Test("what was destroyed stays destroyed")
    func destroyed() async throws {
        try await withServer { server in
            let client = try server.admin()
            let file = try await client.publish(Sample.bytes(10))
            let upload = try await client.initiate()
            #expect(try await client.send(.destroyFile(file.id)).status == 204)
            #expect(try await client.send(.destroy(upload)).status == 204)
            try await server.kill()
            try await server.start()
            expect(try await client.send(.file(file.id)), is: .fileUnknown)
            expect(try await client.send(.download(file.digest)), is: .blobUnknown)
            expect(try await client.send(.status(of: upload)), is: .uploadUnknown)
        }
    }

    @Test("bytes on the disk that were never acknowledged do not count")
    func tail() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            let upload = try await client.upload(holding: Array(bytes[..<600]))
            try await server.kill()
            let file = try #require(try server.files(in: "uploads").first { $0.size == 600 })
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file.path))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(Sample.bytes(500)))
            try handle.close()
            try await server.start()
            #expect(try await client.offset(of: upload) == 600)
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("an upload whose acknowledged bytes are gone from the disk is failed for good: 410 BLOB_UPLOAD_FAILED")
    func lost() async throws {
        try await withServer { server in
            let client = try server.admin()
            let upload = try await client.upload(holding: Sample.bytes(600))
            try await server.kill()
            let file = try #require(try server.files(in: "uploads").first { $0.size == 600 })
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file.path))
            try handle.truncate(atOffset: 300)
            try handle.close()
            try await server.start()
            expect(try await client.send(.append(to: upload, [1])), is: .uploadFailed)
            expect(try await client.send(.complete(upload)), is: .uploadFailed)
            #expect(try await client.send(.destroy(upload)).status == 204)
        }
    }
}

@Suite("Synced", .inTurn)
struct SyncTests {
    /// SIGKILL leaves the kernel its unwritten pages: whether they were synced, only the server can tell.
    private func syncs(_ client: Client) async throws -> Int {
        let text = try await client.send(.get("/metrics")).text
        let line = text.split(separator: "\n").first { $0.hasPrefix("blobd_fsync_duration_seconds_count ") }
        // Before the first one there is no such line.
        return try line.map { try #require($0.split(separator: " ").last.flatMap { Int($0) }) } ?? 0
    }

    @Test("nothing is told that was not synced before: an append's offset, a 201, what a cut connection left")
    func beforeItIsTold() async throws {
        try await withServer { server in
            let client = try server.admin()
            let upload = try await client.initiate()
            let other = try await client.initiate()
            var before = try await syncs(client)
            func expectMore(_ what: Comment) async throws {
                let now = try await syncs(client)
                #expect(now > before, what)
                before = now
            }
            expect(try await client.send(.append(to: upload, [1])), tellsOffset: 1)
            try await expectMore("an append")
            #expect(try await client.send(.complete(upload)).status == 201)
            try await expectMore("a completion")
            let connection = try await server.connect()
            try await client.startAppend(to: other, sending: [1], on: connection)
            connection.close()
            try await eventually("status tells what arrived") {
                try await client.offset(of: other) == 1 ? true : nil
            }
            try await expectMore("a cut append")
        }
    }
}

@Suite("SIGTERM", .inTurn)
struct DrainTests {
    @Test("an idle server ends at once with exit code 0, and closes its idle connections")
    func idle() async throws {
        try await withServer { server in
            let connection = try await server.connect()
            defer { connection.close() }
            try await connection.send(Request.get("/health"))
            #expect(try await connection.receive().status == 200)
            let start = ContinuousClock.now
            #expect(try await server.stop() == .code(0))
            #expect(ContinuousClock.now - start < .seconds(15), "not as long as running requests would get")
            try await connection.waitForClose()
        }
    }

    @Test("a running append may go on to its end; new connections are not taken")
    func runningEnds() async throws {
        try await withServer(["--shutdown-timeout", "30s"]) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            let upload = try await client.initiate()
            let connection = try await server.connect()
            defer { connection.close() }
            try await client.startAppend(to: upload, .announced(1000), sending: Array(bytes[..<400]), on: connection)
            let port = server.port
            async let end = server.stop()
            try await eventually("new connections are not taken") {
                do {
                    let another = try await HTTPConnection.open(port: port)
                    defer { another.close() }
                    try await another.send(Request.get("/health"))
                    return try await another.receiveIfAny() == nil ? true : nil
                } catch {
                    return true
                }
            }
            try await connection.send(Array(bytes[400...]))
            let answer = try await client.receive(.append(to: upload, bytes), on: connection)
            expect(answer, tellsOffset: 1000)
            #expect(try await end == .code(0))
            try await server.start()
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("running requests get a bounded time, appends keep what arrived, exit code 0")
    func bounded() async throws {
        try await withServer(["--shutdown-timeout", "1s"]) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            let upload = try await client.initiate()
            let connection = try await server.connect()
            defer { connection.close() }
            try await client.startAppend(to: upload, sending: Array(bytes[..<400]), on: connection)
            #expect(try await server.stop() == .code(0))
            try await server.start()
            expect(try await client.send(.status(of: upload)), tellsOffset: 400)
            try await client.finish(upload, with: bytes)
        }
    }

    @Test("SIGINT does the same")
    func interrupt() async throws {
        try await withServer { server in
            let child = try #require(server.child)
            child.signal(SIGINT)
            #expect(try await child.waitForEnd() == .code(0))
        }
    }
}
