// `blobd backup` and `blobd restore`: everything that was acknowledged comes back.

import Foundation
import Testing

@Suite("Backup", .inTurn)
struct BackupTests {
    private func backUp(_ server: ServerProcess, to name: String = "backup") async throws -> ChildProcess.Outcome {
        try await server.command(["backup", "\(server.folder.path)/\(name)", "--data", server.data])
    }

    private func restore(_ server: ServerProcess) async throws -> ChildProcess.Outcome {
        try await server.command(
            ["restore", "\(server.folder.path)/backup", "--data", "\(server.folder.path)/restored"])
    }

    private func startRestored(_ server: ServerProcess) async throws {
        _ = try await server.stop()
        try await server.start(["--data", "\(server.folder.path)/restored"])
    }

    @Test("taken while serving, restored, has every file, blob and token")
    func roundTrip() async throws {
        try await withServer { server in
            let client = try server.admin()
            var published: [(Published, [UInt8])] = []
            for size in [0, 1, 4096, 100_000] {
                let bytes = try Sample.bytes(size)
                published.append((try await client.publish(bytes, filename: "ملف \(size)"), bytes))
            }
            let open = try await client.upload(holding: [1, 2, 3])
            #expect(try await backUp(server).end == .code(0))
            let later = try await client.publish(Sample.bytes(500))
            let outcome = try await restore(server)
            #expect(outcome.end == .code(0), "\(outcome.errors)")

            try await startRestored(server)
            for (file, bytes) in published {
                #expect(try await client.send(.download(file.digest)).body == bytes)
                #expect(try await client.send(.file(file.id)).json?["name"] == file.body["name"])
            }
            // Files that came after the backup, and uploads that were not complete, are not in it.
            #expect(try await client.send(.download(later.digest)).status == 404)
            #expect(try await client.send(.status(of: open)).status == 404)
            let check = try await server.command(["check", "--data", "\(server.folder.path)/restored"])
            #expect(check.end == .code(0), "\(check.output)")
        }
    }

    @Test("again: holds what is new, and no longer what went")
    func incremental() async throws {
        try await withServer(["--reclaim-grace", "0s", "--reclaim-interval", "1s"]) { server in
            let client = try server.admin()
            let (kept, gone) = (
                try await client.publish(Sample.bytes(100)), try await client.publish(Sample.bytes(200))
            )
            #expect(try await backUp(server).end == .code(0))
            #expect(try await client.send(.destroyFile(gone.id)).status == 204)
            let new = try await client.publish(Sample.bytes(300))
            #expect(try await backUp(server).end == .code(0))
            let blobs = "\(server.folder.path)/backup/blobs"
            let held = try #require(FileManager.default.enumerator(atPath: blobs)).compactMap { $0 as? String }
            let expected = [kept, new].map { "\($0.digest.prefix(2))/\($0.digest)" }
            #expect(Set(held.filter { $0.utf8.count > 2 }) == Set(expected))
        }
    }

    @Test("while clients upload and delete: everything that it names is there")
    func busy() async throws {
        try await withServer(["--reclaim-grace", "0s", "--reclaim-interval", "1s"]) { server in
            let client = try server.admin()
            let before = try await client.publish(Sample.bytes(1000))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        while !Task.isCancelled {
                            let file = try await client.publish(Sample.bytes(2000))
                            if file.digest < "8" { _ = try await client.send(.destroyFile(file.id)) }
                        }
                    }
                }
                for _ in 0..<5 {
                    let outcome = try await backUp(server)
                    #expect(outcome.end == .code(0), "\(outcome.errors)")
                }
                group.cancelAll()
            }
            #expect(try await restore(server).end == .code(0))
            try await startRestored(server)
            #expect(try await client.send(.download(before.digest)).status == 200)
            let check = try await server.command(["check", "--data", "\(server.folder.path)/restored"])
            #expect(check.end == .code(0), "\(check.output)")
        }
    }

    @Test("a damaged blob is named on the way back, and never served")
    func damaged() async throws {
        try await withServer { server in
            let client = try server.admin()
            let (sound, damaged) = (
                try await client.publish(Sample.bytes(100)), try await client.publish(Sample.bytes(200))
            )
            #expect(try await backUp(server).end == .code(0))
            let path = "\(server.folder.path)/backup/blobs/\(damaged.digest.prefix(2))/\(damaged.digest)"
            try Data(Sample.bytes(200)).write(to: URL(fileURLWithPath: path))
            let outcome = try await restore(server)
            #expect(outcome.end == .code(1))
            #expect(outcome.errors.contains("\(damaged.digest) is damaged"))
            try await startRestored(server)
            expect(try await client.send(.download(damaged.digest)), is: .blobCorrupt)
            #expect(try await client.send(.download(sound.digest)).status == 200)
        }
    }

    @Test("a backup is checked as one, stays one, and gets again what was damaged in it")
    func checked() async throws {
        try await withServer { server in
            let file = try await server.admin().publish(Sample.bytes(300))
            #expect(try await backUp(server).end == .code(0))
            let backup = "\(server.folder.path)/backup"
            let path = "\(backup)/blobs/\(file.digest.prefix(2))/\(file.digest)"
            try FileManager.default.removeItem(atPath: path)
            try Data(Sample.bytes(300)).write(to: URL(fileURLWithPath: path))
            let check = try await server.command(["check", "--data", backup])
            #expect(check.end == .code(1) && check.output.contains("is a backup of the store"), "\(check)")
            #expect(try await backUp(server).end == .code(0))
            #expect(try await server.command(["check", "--data", backup]).end == .code(0))
            // One file, which can be read even where nothing can be written.
            let names = try FileManager.default.contentsOfDirectory(atPath: backup).filter { $0.hasPrefix("catalog") }
            #expect(names == ["catalog.sqlite"])
            #expect(try await restore(server).end == .code(0))
        }
    }

    @Test("of an earlier version, without a label, goes on being the backup of its store")
    func former() async throws {
        try await withServer { server in
            _ = try await server.admin().publish([1])
            #expect(try await backUp(server).end == .code(0))
            try forget(["blobd-label"], in: "backup", server)
            let outcome = try await server.command(["restore", "\(server.folder.path)/backup", "--data", "early"])
            #expect(outcome.end == .code(0), "\(outcome)")
            let swapped = try await server.command(["backup", "early", "--data", "backup"])
            #expect(swapped.end == .code(1) && swapped.errors.contains("earlier version"), "\(swapped)")
            #expect(try await backUp(server).end == .code(0))
            let label = String(decoding: try server.folder.read("backup/blobd-label"), as: UTF8.self)
            #expect(label.hasPrefix("blobd backup\nstore "))
        }
    }

    private func forget(_ names: [String], in directory: String, _ server: ServerProcess) throws {
        for name in names { try FileManager.default.removeItem(atPath: "\(server.folder.path)/\(directory)/\(name)") }
    }

    @Test("holds foreign files that somebody put there, and tells of them")
    func foreignFiles() async throws {
        try await withServer { server in
            let file = try await server.admin().publish([1])
            #expect(try await backUp(server).end == .code(0))
            let backup = "\(server.folder.path)/backup"
            let stray = String(repeating: "ab", count: 32)
            for name in ["notes", "blobs/notes", "blobs/ab/notes", "blobs/cd/\(stray)"] {
                try Data([7]).write(to: URL(fileURLWithPath: "\(backup)/\(name)"))
            }
            try Data([7]).write(to: URL(fileURLWithPath: "\(backup)/blobs/ab/\(stray)"))
            let outcome = try await backUp(server)
            #expect(outcome.end == .code(0) && outcome.output.contains("4 names in it are not blobd's"), "\(outcome)")
            for name in [
                "notes", "blobs/notes", "blobs/ab/notes", "blobs/cd/\(stray)",
                "blobs/\(file.digest.prefix(2))/\(file.digest)",
            ] {
                #expect(FileManager.default.fileExists(atPath: "\(backup)/\(name)"), "\(name)")
            }
            #expect(!FileManager.default.fileExists(atPath: "\(backup)/blobs/ab/\(stray)"))
        }
    }

    @Test("an interrupted restore is gone on with, and what it makes is a store of its own")
    func resumed() async throws {
        try await withServer { server in
            let file = try await server.admin().publish(Sample.bytes(1000))
            #expect(try await backUp(server).end == .code(0))
            #expect(try await restore(server).end == .code(0))
            let label = String(decoding: try server.folder.read("backup/blobd-label"), as: UTF8.self)
            _ = try server.folder.write(
                Array(label.replacingOccurrences(of: "backup", with: "restore").utf8), to: "restored/blobd-label")
            try forget(["catalog.sqlite"], in: "restored", server)
            #expect(try await server.command(["serve", "--data", "restored"]).end == .code(1))
            let again = try await restore(server)
            #expect(again.end == .code(0) && again.output.contains("0 bytes were copied"), "\(again)")
            #expect(!FileManager.default.fileExists(atPath: "\(server.folder.path)/restored/blobd-label"))
            try await startRestored(server)
            #expect(try await server.admin().send(.download(file.digest)).status == 200)
        }
    }
}
