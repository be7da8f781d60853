// Group commit: callers share transactions, and a change that throws is undone alone.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import GRDB
import Testing

@testable import LocalBackend

@Suite struct LocalCatalogCommitTests {
    private let directory: ScratchDirectory
    private let catalog: LocalCatalog

    init() throws {
        directory = try ScratchDirectory()
        catalog = try LocalCatalog(path: directory.catalog, clock: ManualClock())
    }

    /// How many frames of the WAL end a transaction: those that tell the size of the database after it.
    private func transactionsInWAL() throws -> Int {
        let (headByteCount, frameByteCount) = (32, 24 + 4096)
        let wal = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.catalog + "-wal")))
        return stride(from: headByteCount, to: wal.count, by: frameByteCount).count { frame in
            wal[frame + 4..<frame + 8].contains { $0 != 0 }
        }
    }

    @Test func waitingCallersShareTransactions() async throws {
        let callers = 500
        let before = try transactionsInWAL()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<callers { group.addTask { _ = try await catalog.start() } }
            try await group.waitForAll()
        }
        let transactions = try transactionsInWAL() - before
        #expect(transactions > 0 && transactions < callers / 2)
        #expect(try await catalog.statistics().openUploads == Int64(callers))
    }

    /// Completing first changes the upload and then adds the file, which a trigger refuses for every other one.
    @Test func changeThatThrowsIsUndoneAlone() async throws {
        _ = try await catalog.run(
            """
            CREATE TRIGGER refusal BEFORE INSERT ON files WHEN NEW.name = 'bad'
                BEGIN SELECT RAISE(ABORT, 'refused'); END
            """
        )
        let callers = 100
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<callers {
                group.addTask {
                    let isGood = number % 2 == 0
                    let file = try? await catalog.add("text \(number)", named: isGood ? "good" : "bad")
                    #expect((file != nil) == isGood)
                }
            }
            try await group.waitForAll()
        }
        let half = Int64(callers / 2)
        let expected = Statistics(openUploads: half, blobs: half, files: half, blobBytes: try await goodBytes())
        #expect(try await catalog.statistics() == expected)
        #expect(try await catalog.files(FileQuery(search: "good")).count == half)
        #expect(try await catalog.run("SELECT count(*) FROM uploads WHERE state = 1") == ["\(half)"])
    }

    private func goodBytes() async throws -> Int64 {
        try await catalog.files(FileQuery()).items.map(\.size).reduce(0, +)
    }

    @Test func cancelledCallerIsStillAnswered() async throws {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await catalog.start()
        }
        let upload = try await task.value
        #expect(try await catalog.upload(upload.id) == upload)
    }

    /// A foreign key that is checked at the end makes COMMIT itself fail, as an error of the disk would.
    @Test func failedCommitFailsItsCallersAndTheConnectionIsReplaced() async throws {
        _ = try await catalog.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        _ = try await catalog.run(
            "CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        let kept = try await catalog.start()
        await #expect(throws: BlobError.self) { try await catalog.run("INSERT INTO child (id) VALUES (1)") }
        let upload = try await catalog.start()
        #expect(try await catalog.upload(kept.id) == kept)
        #expect(try await catalog.upload(upload.id) == upload)
        #expect(try await catalog.run("SELECT count(*) FROM child") == ["0"])
    }

    /// A client is not told the words that opening has for an operator.
    @Test(arguments: ["", "PRAGMA application_id = 1", "CREATE TABLE other (id); PRAGMA user_version = 77"])
    func anotherDatabaseInItsPlaceIsNotWrittenTo(content: String) async throws {
        _ = try await catalog.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        _ = try await catalog.run(
            "CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        for suffix in ["", "-wal", "-shm"] { try FileManager.default.removeItem(atPath: directory.catalog + suffix) }
        let other = try DatabaseQueue(path: directory.catalog)
        try await other.write { db in try db.execute(sql: content) }
        try other.close()
        await #expect(throws: BlobError.self) { try await catalog.run("INSERT INTO child (id) VALUES (1)") }
        let error = await #expect(throws: BlobError.self) { try await catalog.start() }
        #expect(error?.reason == .unavailable(.catalogReplaced))
    }

    @Test func fullDatabaseIsInsufficientStorage() async throws {
        _ = try await catalog.add("text")
        _ = try await catalog.run("PRAGMA max_page_count = 1")
        let error = try await #require(throws: BlobError.self) {
            for number in 0..<1000 { _ = try await catalog.start(String(repeating: "n\(number)", count: 40)) }
        }
        #expect(error.reason == .insufficientStorage(.catalog))
        // Reads go on, and so do writes when there is room again.
        #expect(try await catalog.files(FileQuery()).count == 1)
        _ = try await catalog.run("PRAGMA max_page_count = 1000000")
        _ = try await catalog.start()
    }

    @Test func callsAfterCloseAreUnavailable() async throws {
        await catalog.close()
        let errors = [
            try await #require(throws: BlobError.self) { try await catalog.start() },
            try await #require(throws: BlobError.self) { try await catalog.statistics() },
            try await #require(throws: BlobError.self) { try await catalog.files(FileQuery(search: "x")) },
            try await #require(throws: BlobError.self) { try await catalog.checkReadiness() },
        ]
        #expect(errors == Array(repeating: .stopping, count: 4))
    }

    @Test func closeLetsEarlierCallsFinish() async throws {
        let first = try await catalog.start()
        let uploads = try await withThrowingTaskGroup(of: Upload?.self) { group in
            for _ in 0..<100 { group.addTask { try? await catalog.start() } }
            group.addTask {
                await catalog.close()
                return nil
            }
            return try await group.reduce(into: [first]) { uploads, upload in
                if let upload { uploads.append(upload) }
            }
        }
        #expect(!uploads.isEmpty)
        let reopened = try LocalCatalog(path: directory.catalog, clock: ManualClock())
        for upload in uploads { #expect(try await reopened.upload(upload.id) == upload) }
        #expect(try await reopened.statistics().openUploads == Int64(uploads.count))
    }
}
