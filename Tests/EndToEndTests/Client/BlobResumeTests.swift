// `blob` after it was killed or interrupted.

import Foundation
import Testing

@Suite("blob after an interruption", .inTurn)
struct BlobResumeTests {
    private static let byteCount: UInt64 = 256 << 20

    /// Starts an upload and stops the server in the middle of it, after some 16 MiB: nothing moves from then on.
    private func beginUpload(_ blob: BlobTool, _ path: String) async throws -> ChildProcess {
        let child = try blob.start(["upload", path])
        try await eventually("the journal knows a digest") {
            blob.journal().first { $0.contains(#""digest""#) }
        }
        blob.server.child?.signal(SIGSTOP)
        return child
    }

    private func end(_ child: ChildProcess, with signal: Int32, _ blob: BlobTool) async throws -> ChildProcess.End {
        child.signal(signal)
        let end = try await child.waitForEnd()
        blob.server.child?.signal(SIGCONT)
        return end
    }

    @Test("after kill -9, the same command goes on behind what is safe, and status tells how far that is")
    func killed() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            let path = try blob.writeSparse("large", byteCount: Self.byteCount)
            let child = try await beginUpload(blob, path)
            #expect(try await end(child, with: SIGKILL, blob) == .signal(SIGKILL))
            #expect(!blob.journal().joined().contains(blob.token))

            let status = try await blob.run(["status"])
            #expect(
                status.end == .code(0) && status.output.contains(path) && status.output.contains("MiB"), "\(status)")
            let again = try await blob.run(["upload", path, "--json"])
            #expect(again.end == .code(0), "\(again)")
            let finished = try #require(again.output.split(separator: "\n").last)
            let event = try JSONSerialization.jsonObject(with: Data(finished.utf8)) as? [String: Any]
            let moved = try #require(event?["bytes"] as? UInt64)
            // By the kill, the server has taken at least the bytes that had to be read for the digest, less those on
            // their way.
            #expect(moved > 0 && moved < Self.byteCount - 4 << 20, "\(moved)")
            #expect(blob.journal().isEmpty)
            let hash = try await blob.run(["hash", path])
            #expect(again.output.contains(hash.firstWords[0]))
        }
    }

    @Test("SIGINT ends it with 130 and the way to go on; a file that was changed meanwhile begins anew, and it says so")
    func interruptedAndChanged() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            let path = try blob.writeSparse("large", byteCount: Self.byteCount)
            let child = try await beginUpload(blob, path)
            #expect(try await end(child, with: SIGINT, blob) == .code(130))
            #expect(child.errors.soFar.contains("blob resume"), "\(child.errors.soFar)")

            let changed = try blob.writeSparse("large", byteCount: 20 << 20)
            let resumed = try await blob.run(["resume"])
            #expect(resumed.end == .code(0) && resumed.errors.contains("large: begins anew"), "\(resumed)")
            let hash = try await blob.run(["hash", changed])
            #expect(resumed.firstWords == hash.firstWords)
            let nothing = try await blob.run(["resume"])
            #expect(nothing.end == .code(0) && nothing.output == "", "\(nothing)")
        }
    }

    @Test("a second process uploads the same file without harm, and what is in use cannot be cancelled")
    func atOnce() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            let path = try blob.writeSparse("large", byteCount: Self.byteCount)
            let first = try await beginUpload(blob, path)
            let entry = try #require(blob.journal().first)
            let journal = try JSONSerialization.jsonObject(with: Data(entry.utf8)) as? [String: Any]
            let upload = try #require(journal?["upload"] as? String)
            let cancelled = try await blob.run(["cancel", upload])
            #expect(cancelled.end == .code(1) && cancelled.errors.contains("another process"), "\(cancelled)")
            let second = try blob.start(["upload", path])
            server.child?.signal(SIGCONT)
            let ends = [
                try await first.waitForEnd(), try await second.waitForEnd(),
            ]
            #expect(ends == [.code(0), .code(0)])
            #expect(try await blob.run(["list"]).output.split(separator: "\n").count == 2)
            #expect(blob.journal().isEmpty)
        }
    }

    @Test("cancel gives an upload up on the server and forgets it; resume does so with a file that is gone")
    func cancelled() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            for way in ["cancel", "gone"] {
                let path = try blob.writeSparse("large", byteCount: Self.byteCount)
                let child = try await beginUpload(blob, path)
                #expect(try await end(child, with: SIGTERM, blob) == .code(143))
                let status = try await blob.run(["status", "--json"])
                let state = try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any]
                let upload = try #require(state?["upload"] as? String)
                #expect(state?["path"] as? String == path && state?["offset"] is Int, "\(status)")
                let one = try await blob.run(["status", upload])
                #expect(one.output.contains(upload), "\(one)")

                if way == "cancel" {
                    let cancelled = try await blob.run(["cancel", upload])
                    #expect(cancelled.end == .code(0) && cancelled.output == "cancelled \(upload)\n", "\(cancelled)")
                } else {
                    try FileManager.default.removeItem(atPath: path)
                    let resumed = try await blob.run(["resume"])
                    #expect(resumed.end == .code(1) && resumed.errors.contains("is gone"), "\(resumed)")
                }
                #expect(blob.journal().isEmpty)
                let unknown = try await blob.run(["status", upload])
                #expect(unknown.end == .code(1) && unknown.errors.contains("BLOB_UPLOAD_UNKNOWN"), "\(unknown)")
            }
        }
    }
}
