// `blobd check` and `blobd reclaim`: their findings, words and effects, beside a running server and without one.

import Foundation
import Testing

@Suite("Check", .inTurn)
struct CheckTests {
    private func check(_ server: ServerProcess, _ flags: [String] = []) async throws -> ChildProcess.Outcome {
        try await server.command(["check", "--data", server.data] + flags)
    }

    /// Changes one bit, or cuts the file, or takes it away.
    private func damage(_ path: String, _ number: Int) throws {
        switch number % 10 {
        case 8: try FileManager.default.removeItem(atPath: path)
        case 9:
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            try handle.truncate(atOffset: try handle.seekToEnd() / 2)
        default:
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[number * 7919 % bytes.count] ^= 1 << (number % 8)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            try handle.write(contentsOf: bytes)
        }
    }

    /// Puts a file in the place of the directory.
    @discardableResult
    private func blockQuarantine(of server: ServerProcess) throws -> String {
        let quarantine = "\(server.data)/quarantine"
        try FileManager.default.removeItem(atPath: quarantine)
        try Data().write(to: URL(fileURLWithPath: quarantine))
        return quarantine
    }

    private func countsOne(_ server: ServerProcess) async throws {
        let client = try server.admin()
        try await eventually("it is counted") {
            let metrics = String(decoding: try await client.send(.get("/metrics")).body, as: UTF8.self)
            return metrics.contains("blobd_damaged_blobs_total 1\n") ? true : nil
        }
    }

    private func path(of digest: String, in server: ServerProcess) -> String {
        "\(server.data)/blobs/\(digest.prefix(2))/\(digest)"
    }

    @Test(
        "finds each of 1,000 damaged blobs; none of them is served, all others are",
        arguments: zip([false, true], [8, 1])
    )
    func bitRot(isRunning: Bool, jobs: Int) async throws {
        try await withServer { server in
            let client = try server.admin()
            var digests: [String] = []
            for number in 0..<550 {
                digests.append(try await client.publish(Sample.bytes(100 + number * 13)).digest)
            }
            let sound = try await check(server)
            #expect(sound.end == .code(0), "\(sound.output) \(sound.errors)")
            #expect(try sound.jsonLines().last?["blobs"] == .integer(550))
            if !isRunning { _ = try await server.stop() }
            for number in 0..<500 { try damage(path(of: digests[number], in: server), number) }

            let found = try await check(server, ["--jobs", "\(jobs)"])
            #expect(found.end == .code(1))
            #expect(try found.namedDigests() == Set(digests[..<500]))
            if !isRunning { try await server.start() }
            for digest in digests[..<500] { expect(try await client.send(.download(digest)), is: .blobCorrupt) }
            for digest in digests[500...] { #expect(try await client.send(.download(digest)).status == 200) }
            // Only the bytes that were taken away are not kept.
            #expect(try server.files(in: "quarantine").count == 450)
        }
    }

    @Test("of sizes alone finds what was cut and what is gone, and reads nothing")
    func quick() async throws {
        try await withServer { server in
            let client = try server.admin()
            var digests: [String] = []
            for _ in 0..<3 { digests.append(try await client.publish(Sample.bytes(1000)).digest) }
            _ = try await server.stop()
            for (digest, number) in zip(digests, [0, 8, 9]) { try damage(path(of: digest, in: server), number) }
            let found = try await check(server, ["--quick"])
            #expect(found.end == .code(1))
            #expect(try found.namedDigests() == Set(digests[1...]))
            #expect(try found.jsonLines().last?["bytes"] == .integer(0))
        }
    }

    @Test("of a sample finds what is damaged in it, counts what has no row in it, and says that it is a sample")
    func sample() async throws {
        try await withServer { server in
            let client = try server.admin()
            for number in 0..<100 {
                let digest = try await client.publish(Sample.bytes(1000 + number)).digest
                try damage(path(of: digest, in: server), number)
            }
            _ = try await server.stop()
            // In each of the 256 directories a file without a row.
            for byte in 0..<256 {
                let digest = String(format: "%02x", byte) + String(repeating: "7", count: 62)
                try Data().write(to: URL(fileURLWithPath: path(of: digest, in: server)))
            }
            var found: Set<String> = []
            // Other blobs each time, so that all are found in the end.
            for _ in 0..<64 where found.count < 100 {
                let told = try await check(server, ["--sample", "50"])
                let done = try #require(try told.jsonLines().last)
                let (blobs, orphans) = (try #require(done["blobs"]?.integer), try #require(done["orphans"]?.integer))
                #expect((1..<100).contains(blobs))
                #expect(orphans == 128)
                #expect(done["sample_percent"] == .integer(50))
                #expect(done["damaged"] == .integer(blobs))
                let digests = try told.namedDigests()
                #expect(digests.count == blobs)
                found.formUnion(digests)
            }
            #expect(found.count == 100)
            #expect(try await check(server, ["--sample", "100"]).jsonLines().last?["blobs"] == .integer(100))
        }
    }

    @Test("of no sample, or of more than all: what would be right", arguments: ["0", "-1", "100.1", "nan", "some"])
    func noSample(percent: String) async throws {
        try await withServer { server in
            let outcome = try await check(server, ["--sample=\(percent)"])
            #expect(outcome.end == .code(64))
            #expect(outcome.errors.contains("--sample"))
        }
    }

    @Test("uploading the same bytes again heals")
    func healing() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(5000)
            let digest = try await client.publish(bytes).digest
            try damage(path(of: digest, in: server), 1)
            #expect(try await check(server).end == .code(1))
            expect(try await client.send(.download(digest)), is: .blobCorrupt)
            _ = try await client.publish(bytes)
            #expect(try await client.send(.download(digest)).body == bytes)
            #expect(try await check(server).end == .code(0))
        }
    }

    @Test("a download of a cut file is an error, and the server looks for itself")
    func cutFile() async throws {
        try await withServer(["--reclaim-interval", "1s"]) { server in
            let client = try server.admin()
            let digest = try await client.publish(Sample.bytes(5000)).digest
            try damage(path(of: digest, in: server), 9)
            expect(try await client.send(.download(digest)), is: .blobCorrupt)
            try await eventually("it is in quarantine") {
                try server.files(in: "quarantine").count == 1 ? true : nil
            }
        }
    }

    @Test("the server reads all blobs by itself")
    func scrub() async throws {
        try await withServer(["--scrub-interval", "1s", "--scrub-rate", "1GiB"]) { server in
            let client = try server.admin()
            let digest = try await client.publish(Sample.bytes(5000)).digest
            try damage(path(of: digest, in: server), 1)
            try await eventually("it is out of service") {
                try await client.send(.download(digest)).status == 500 ? true : nil
            }
            // The mark comes first, and a download may see it before it is counted.
            try await countsOne(server)
        }
    }

    @Test("damage is told and not served even where quarantine has no place for it, and is moved once it has")
    func noQuarantine() async throws {
        try await withServer(["--scrub-interval", "1s", "--scrub-rate", "1GiB"]) { server in
            let client = try server.admin()
            let digest = try await client.publish(Sample.bytes(5000)).digest
            let quarantine = try blockQuarantine(of: server)
            try damage(path(of: digest, in: server), 1)
            try await countsOne(server)
            expect(try await client.send(.download(digest)), is: .blobCorrupt)
            #expect(try server.files(in: "blobs").count == 1)
            try FileManager.default.removeItem(atPath: quarantine)
            try FileManager.default.createDirectory(atPath: quarantine, withIntermediateDirectories: false)
            try await eventually("it is moved") { try server.files(in: "quarantine").count == 1 ? true : nil }
            try await countsOne(server)
        }
    }

    @Test("beside a server takes all damage out of service even where quarantine has no place for it")
    func noQuarantineForMany() async throws {
        try await withServer { server in
            let client = try server.admin()
            var digests: [String] = []
            for _ in 0..<3 { digests.append(try await client.publish(Sample.bytes(1000)).digest) }
            try blockQuarantine(of: server)
            for digest in digests { try damage(path(of: digest, in: server), 1) }
            let found = try await check(server)
            #expect(found.end == .code(1))
            #expect(try found.namedDigests() == Set(digests))
            for digest in digests { expect(try await client.send(.download(digest)), is: .blobCorrupt) }
        }
    }

    @Test("an upload that lost acknowledged bytes is told")
    func shortUpload() async throws {
        try await withServer { server in
            let client = try server.admin()
            let upload = try await client.upload(holding: Sample.bytes(5000))
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(server.data)/uploads/\(upload.id)"))
            try file.truncate(atOffset: 4999)
            try file.close()
            let found = try await check(server)
            #expect(found.end == .code(1))
            #expect(found.output.contains("\(upload.id) holds 4999 bytes, and 5000 were acknowledged"))
        }
    }

    @Test("what cannot be checked ends with 2 and says why")
    func impossible() async throws {
        try await withServer { server in
            let outcome = try await server.command(["check", "--data", "\(server.folder.path)/nothing"])
            #expect(outcome.end == .code(2))
            #expect(outcome.errors.contains("no data directory of blobd"))
            #expect(!FileManager.default.fileExists(atPath: "\(server.folder.path)/nothing"))
        }
    }
}

@Suite("Reclaiming by hand", .inTurn)
struct ReclaimCommandTests {
    @Test("without a server: tells what it removed, also bytes without a row")
    func offline() async throws {
        try await withServer { server in
            let client = try server.admin()
            let kept = try await client.publish(Sample.bytes(1000))
            let file = try await client.publish(Sample.bytes(2000))
            #expect(try await client.send(.destroyFile(file.id)).status == 204)
            _ = try await server.stop()
            let orphan = String(repeating: "0", count: 64)
            try Data("orphan".utf8).write(to: URL(fileURLWithPath: "\(server.data)/blobs/00/\(orphan)"))
            let outcome = try await server.command(["reclaim", "--data", server.data, "--reclaim-grace", "0s"])
            #expect(outcome.end == .code(0), "\(outcome.errors)")
            #expect(outcome.output.contains("1 blobs without files, and 1 left behind"), "\(outcome.output)")
            #expect(try server.files(in: "blobs").map(\.size) == [1000])
            try await server.start()
            #expect(try await client.send(.download(kept.digest)).status == 200)
        }
    }

    @Test("keeps a blob without files for the grace")
    func grace() async throws {
        try await withServer { server in
            let client = try server.admin()
            let file = try await client.publish(Sample.bytes(2000))
            #expect(try await client.send(.destroyFile(file.id)).status == 204)
            let orphan = "\(server.data)/blobs/ff/" + String(repeating: "f", count: 64)
            try Data("orphan".utf8).write(to: URL(fileURLWithPath: orphan))
            #expect(try await server.command(["reclaim", "--data", server.data]).end == .code(0))
            // The last step of a round, which comes after the removal of blobs that have been dying for long enough.
            try await eventually("the round is over") { FileManager.default.fileExists(atPath: orphan) ? nil : true }
            #expect(try server.files(in: "blobs").map(\.size) == [2000])
        }
    }

    @Test("beside a server: that one does it at once")
    func online() async throws {
        try await withServer(["--reclaim-grace", "0s"]) { server in
            let client = try server.admin()
            let file = try await client.publish(Sample.bytes(2000))
            #expect(try await client.send(.destroyFile(file.id)).status == 204)
            let outcome = try await server.command(["reclaim", "--data", server.data])
            #expect(outcome.end == .code(0), "\(outcome.errors)")
            try await eventually("its bytes are gone") { try server.files(in: "blobs").isEmpty ? true : nil }
        }
    }
}
