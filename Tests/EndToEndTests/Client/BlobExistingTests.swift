// The files for which `blob upload --skip-existing` sends nothing: one's own that stay.

import BlobClient
import BlobCore
import Foundation
import Testing

@testable import blob

@Suite("blob upload --skip-existing", .inTurn)
struct BlobExistingTests {
    /// The name of the file's event: `done` when it was sent, `skipped` when not.
    private static func upload(_ blob: BlobTool, _ flags: [String] = []) async throws -> String? {
        let outcome = try await blob.run(["upload", "file", "--skip-existing", "--json"] + flags)
        #expect(outcome.end == .code(0) && outcome.errors == "", "\(outcome)")
        return try outcome.jsonLines().compactMap { $0["event"]?.string }.last { ["done", "skipped"].contains($0) }
    }

    @Test("somebody else's file is sent again, permanent or temporary", arguments: [false, true])
    func others(isTemporary: Bool) async throws {
        let blob = try await BlobTool.shared()
        let bytes = try Sample.bytes(1000)
        _ = try blob.home.write(bytes, to: "file")
        _ = try await Client.newSubject().publish(bytes, temporary: isTemporary)
        #expect(try await Self.upload(blob) == "done")
        #expect(try await blob.run(["list"]).output.split(separator: "\n").count == 1)
    }

    @Test("an administrator, who sees the files of others, does not rely on them either")
    func administrator() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server, scopes: "upload,read,admin")
            let bytes = try Sample.bytes(1000)
            _ = try blob.home.write(bytes, to: "file")
            _ = try await server.client().publish(bytes)
            #expect(try await Self.upload(blob) == "done")
            #expect(try await Self.upload(blob) == "skipped")
        }
    }

    @Test("one's own temporary file is enough for a temporary one, and not for one that is to stay")
    func temporary() async throws {
        let blob = try await BlobTool.shared()
        _ = try blob.home.write(try Sample.bytes(1000), to: "file")
        let events = [
            try await Self.upload(blob, ["--temporary"]), try await Self.upload(blob, ["--temporary"]),
            try await Self.upload(blob), try await Self.upload(blob), try await Self.upload(blob, ["--temporary"]),
        ]
        #expect(events == ["done", "skipped", "done", "skipped", "skipped"])
    }

    @Test("a temporary file counts until half of its life has passed", arguments: [(0.4, true), (0.6, false)])
    func age(passed share: Double, counts: Bool) async throws {
        let client = try await Client.newSubject()
        let published = try await client.publish(try Sample.bytes(1000), temporary: true)
        let life = try Dates.rfc3339(published.body["expires_at"]).timeIntervalSinceNow
        let own = try BlobServiceClient(client.server.address, token: client.bearer)
        let files = OwnFiles(on: own, reporter: TransferReporter(style: .quiet)) {
            Date(timeIntervalSinceNow: life * share)
        }
        let blob = try await files.blob(BlobDigest(parsing: published.digest), isTemporary: true)
        #expect((blob != nil) == counts)
        await own.shutdown()
    }

    @Test("with a token that may not list, all is sent, and it says so once")
    func noList() async throws {
        let blob = try await BlobTool(.shared, scopes: "upload")
        for name in ["a", "b"] { _ = try blob.home.write(try Sample.bytes(1000), to: name) }
        let outcome = try await blob.run(["upload", "--skip-existing", "a", "b"])
        #expect(outcome.end == .code(0) && outcome.firstWords.count == 2, "\(outcome)")
        #expect(outcome.errors.components(separatedBy: "cannot be listed").count == 2, "\(outcome)")
    }
}
