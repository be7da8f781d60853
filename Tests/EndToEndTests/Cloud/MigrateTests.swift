// `blobd migrate`: a store on a disk comes to many nodes, and downloads go on meanwhile. Needs the engines:
// `Tests/engines/run`.

import Foundation
import Testing

@Suite("Migrate", .inTurn)
struct MigrateTests {
    private func migrate(
        _ server: ServerProcess, to cloud: CloudData, data: String? = nil, _ flags: [String] = []
    ) async throws -> ChildProcess.Outcome {
        try await server.command(
            ["migrate", "--from", "local", "--to", "cloud", "--data", data ?? server.data] + flags,
            environment: cloud.settings)
    }

    /// A migration of a server that serves no more.
    private func migrateAll(_ server: ServerProcess, to cloud: CloudData) async throws {
        _ = try await server.stop()
        let outcome = try await migrate(server, to: cloud)
        #expect(outcome.end == .code(0), "\(outcome)")
    }

    /// Clients see the same of files on one server as on the other.
    private func expectSame(_ files: [(Published, [UInt8])], _ old: Client, _ new: Client) async throws {
        for (file, bytes) in files {
            #expect(try await new.send(.file(file.id)).json == (try await old.send(.file(file.id)).json))
            let download = try await new.send(.download(file.digest))
            #expect(download.status == 200 && download.body == bytes, "\(bytes.count) bytes")
        }
    }

    @Test("names that an earlier version took arrive as they are")
    func oldNames() async throws {
        let cloud = try await CloudData()
        try await withServer { server in
            let admin = try server.admin()
            let file = try await admin.publish([1, 2, 3], filename: "old")
            _ = try await server.stop()
            try await server.rename(file.digest, to: "\u{202E}gpj.exe", path: "a\u{200B}/\u{202E}gpj.exe")
            let outcome = try await migrate(server, to: cloud)
            #expect(outcome.end == .code(0), "\(outcome)")
            try await withServer(on: cloud, adminToken: admin.bearer) { node in
                let told = try await node.admin().send(.file(file.id)).json
                #expect(told?["name"]?.string == "\u{202E}gpj.exe")
                #expect(told?["path"]?.string == "a\u{200B}/\u{202E}gpj.exe")
                let page = try await node.admin().send(.files("orderby=name&top=1")).json
                #expect(page?["items"]?.array?.count == 1)
            }
        }
    }

    @Test("beside a server that goes on, then with one that is read-only: every file, upload and token arrives")
    func online() async throws {
        let cloud = try await CloudData()
        try await withServer { server in
            let (admin, other) = (try server.admin(), try await server.client())
            var files: [(Published, [UInt8])] = []
            for size in [0, 1, 4096, 100_000, 40 << 20] {
                let bytes = try Sample.bytes(size)
                files.append((try await admin.publish(bytes, filename: "ملف \(size)"), bytes))
                files.append((try await other.publish(bytes, temporary: true), bytes))
            }
            let (gone, kept) = (try await admin.publish([1, 2, 3]), try await admin.publish([1, 2, 3]))
            files.append((kept, [1, 2, 3]))
            let rest = try Sample.bytes(20 << 20)
            let open = try await other.upload(holding: Array(rest[..<(17 << 20)]), filename: "open")
            let named = Request(method: "POST", target: "/api/blobs/uploads?filename=b.txt&path=a/b.txt")
            files.append((try await other.complete(Upload(other.send(named)), .bytes([4, 5])), [4, 5]))
            let second = try await server.namedClient("second", subject: "first", "upload,read")
            files.append((try await second.publish([6, 7]), [6, 7]))
            let revoked = try await server.namedClient("revoked", "read")

            let first = try await migrate(server, to: cloud)
            #expect(first.end == .code(75), "\(first)")
            #expect(first.output.contains("--read-only"))

            let late = try Sample.bytes(5000)
            files.append((try await other.publish(late), late))
            #expect(try await admin.send(.destroyFile(gone.id)).status == 204)
            let alone = try await admin.publish(Sample.bytes(100))
            #expect(try await migrate(server, to: cloud).end == .code(75))
            #expect(try await admin.send(.destroyFile(alone.id)).status == 204)
            try await other.append(Array(rest[(17 << 20)..<(19 << 20)]), to: open)
            #expect(try await server.command(["token", "revoke", "revoked", "--data", server.data]).end == .code(0))
            let completed = try await admin.initiate()
            let result = try await admin.complete(completed, .bytes([9]))
            files.append((result, [9]))

            try await server.restart(["--read-only"])
            expect(try await admin.send(.initiate()), is: .unavailable, naming: "read-only")
            expect(try await other.send(.append(to: open, [1])), is: .unavailable)
            expect(try await admin.send(.destroyFile(kept.id)), is: .unavailable)
            #expect(try await admin.send(.initiate()).headers["Retry-After"] != nil)
            let last = try await migrate(server, to: cloud)
            #expect(last.end == .code(0), "\(last)")

            try await withServer(on: cloud, adminToken: admin.bearer) { node in
                let (newAdmin, newOther) = (try node.admin(), Client(server: node, bearer: other.bearer))
                try await expectSame(files, admin, newAdmin)
                for file in [gone, alone] { expect(try await newAdmin.send(.file(file.id)), is: .fileUnknown) }
                #expect(try await newAdmin.send(.download(alone.digest)).status == 404)
                #expect(try await newOther.send(.files("search=a/b")).json?["count"]?.integer == 1)
                let newSecond = Client(server: node, bearer: second.bearer)
                #expect(try await newSecond.send(.files()).json == (try await second.send(.files()).json))
                #expect(try await newSecond.send(.files()).json?["subject"]?.string == "first")
                let dead = Client(server: node, bearer: revoked.bearer)
                expect(try await dead.send(.files()), is: .unauthorized)
                #expect(try await newOther.send(.files()).json == (try await other.send(.files()).json))

                #expect(try await newOther.offset(of: open) == 19 << 20)
                let whole = try await newOther.complete(open, .bytes(Array(rest[(19 << 20)...])))
                #expect(whole.digest == Sample.digest(of: rest))
                #expect(try await newOther.send(.download(whole.digest)).body == rest)
                #expect(try await newAdmin.complete(completed).body == result.body)

                let check = try await node.command(["check"])
                #expect(check.end == .code(0), "\(check)")
            }
        }
    }

    @Test("killed in the middle of a large blob, it goes on from there")
    func resumed() async throws {
        let cloud = try await CloudData()
        try await withServer { server in
            let bytes = try Sample.bytes(256 << 20)
            let file = try await server.admin().publish(bytes)
            let admin = try server.adminToken()
            _ = try await server.stop()
            let running = try ChildProcess(
                [ServerProcess.executable, "migrate", "--from", "local", "--to", "cloud", "--data", server.data],
                in: server.folder.path, environment: cloud.settings)
            let recorded = "SELECT max(byte_offset) FROM uploads"
            try await eventually("bytes are recorded") {
                // At first, there may be no tables.
                (try? await cloud.number(recorded)).flatMap { $0 > 0 ? true : nil }
            }
            running.signal(SIGKILL)
            _ = try await running.waitForEnd()
            let held = try await cloud.number(recorded)
            let outcome = try await migrate(server, to: cloud)
            #expect(outcome.end == .code(0), "\(outcome)")
            let sent = outcome.output.firstMatch(of: /brought 1 blobs, ([0-9.]+) MiB/).flatMap { Double($0.1) }
            #expect(try #require(sent) <= Double((256 << 20) - held) / 1_048_576 + 1, "\(held) \(outcome)")
            try await withServer(on: cloud, adminToken: admin) { node in
                let download = try await node.admin().send(.download(file.digest))
                #expect(download.body == bytes)
            }
        }
    }

    @Test("no node starts before it is over, and nothing is brought over what is there")
    func refusals() async throws {
        let (cloud, used) = (try await CloudData(), try await CloudData())
        try await withServer { server in
            _ = try await server.admin().publish([1])
            #expect(try await migrate(server, to: cloud).end == .code(75))
            await #expect(throws: Failure.self) { try await withServer(on: cloud) { _ in } }
            let reclaim = try await server.command(["reclaim"], environment: cloud.settings)
            #expect(reclaim.end == .code(1) && reclaim.errors.contains("blobd migrate"), "\(reclaim)")

            try await withServer { other in
                _ = try other.admin()
                let outcome = try await migrate(server, to: cloud, data: other.data)
                #expect(outcome.end == .code(1) && outcome.errors.contains("another data directory"), "\(outcome)")
            }
            let folder = server.folder.path
            for command in [
                ["backup", "\(folder)/b", "--data", server.data], ["restore", "\(folder)/b", "--data", "\(folder)/r"],
            ] {
                #expect(try await server.command(command).end == .code(0))
            }
            let backup = try await migrate(server, to: cloud, data: "\(folder)/b")
            #expect(backup.end == .code(1) && backup.errors.contains("blobd restore"), "\(backup)")
            let restored = try await migrate(server, to: cloud, data: "\(folder)/r")
            #expect(restored.end == .code(1) && restored.errors.contains("another copy of this store"), "\(restored)")
            try await withServer(on: used) { node in
                _ = try await node.admin().publish([1])
                let outcome = try await migrate(server, to: used)
                #expect(outcome.end == .code(1) && outcome.errors.contains("holds data already"), "\(outcome)")
            }
            try await migrateAll(server, to: cloud)
            let again = try await migrate(server, to: cloud)
            #expect(again.end == .code(1) && again.errors.contains("nothing to do"), "\(again)")
        }
    }

    @Test(
        "what is damaged ends nothing unless that is accepted; then it is known, never served, and mended by an upload")
    func damaged() async throws {
        let cloud = try await CloudData()
        try await withServer { server in
            let admin = try server.admin()
            let bytes = try Sample.bytes(2000)
            let (sound, damaged) = (try await admin.publish([7]), try await admin.publish(bytes))
            let lost = try await admin.upload(holding: [1, 2, 3])
            _ = try await server.stop()
            let path = "\(server.data)/blobs/\(damaged.digest.prefix(2))/\(damaged.digest)"
            try Data(Sample.bytes(2000)).write(to: URL(fileURLWithPath: path))
            try FileManager.default.removeItem(atPath: "\(server.data)/uploads/\(lost.id)")

            let refused = try await migrate(server, to: cloud)
            #expect(refused.end == .code(1) && refused.errors.contains("--accept-damage"), "\(refused)")
            #expect(refused.output.contains(damaged.digest) && refused.errors.contains(lost.id), "\(refused)")
            #expect(try await migrate(server, to: cloud, ["--accept-damage"]).end == .code(0))
            try await withServer(on: cloud, adminToken: admin.bearer) { node in
                let client = try node.admin()
                #expect(try await client.send(.download(sound.digest)).status == 200)
                expect(try await client.send(.download(damaged.digest)), is: .blobCorrupt)
                expect(try await client.send(.status(of: lost)), is: .uploadFailed)
                _ = try await client.publish(bytes)
                #expect(try await client.send(.download(damaged.digest)).body == bytes)
            }
        }
    }
}
