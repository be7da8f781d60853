// Bringing a database to the version that this program knows.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import NIOCore
import PostgresPool
import S3Client
import Testing

@testable import CloudBackend

@Suite(.timeLimit(.minutes(10))) struct MigrationTests {
    @Test func nodesMigrateTogether() async throws {
        try await TestSchema.with { schema in
            let pools = try (0..<8).map { _ in try schema.pool(connections: 1) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for pool in pools { group.addTask { try await CloudCatalog.prepare(pool, by: .migrating) } }
                try await group.waitForAll()
            }
            var secrets: Set<[UInt8]> = []
            for pool in pools {
                try await CloudCatalog.prepare(pool, by: .looking)
                secrets.insert(try await CloudCatalog(pool: pool).secret())
                await pool.close()
            }
            #expect(secrets.count == 1)
        }
    }

    @Test func migratingAgainKeepsTheRows() async throws {
        try await TestSchema.with { schema in
            try await schema.withPool { pool in
                let catalog = CloudCatalog(pool: pool)
                let file = try await catalog.add("text")
                try await CloudCatalog.prepare(pool, by: .migrating)
                #expect(try await catalog.file(file.id) == file)
                #expect(try await CloudCatalog(pool: pool).secret() == catalog.secret())
            }
        }
    }

    /// A database of the first version is brought up to date while a node of that version goes on.
    @Test func firstVersionIsBroughtUpToDateBesideItsNodes() async throws {
        try await TestSchema.with { schema in
            let pool = try schema.pool(connections: 2)
            let digest = BlobDigest(of: "text".utf8)
            try await Self.makeTables(of: 1, in: pool)
            let old = OldNode(pool: pool)
            let (begun, open) = (UploadID(), UploadID())
            for id in [begun, open] { try await old.create(id) }
            try await old.complete(begun, as: digest)
            _ = try await pool.query(
                "INSERT INTO tokens VALUES ($1, 'phone', 'read', 1000, NULL)", [.digest(digest)])

            try await CloudCatalog.prepare(pool, by: .migrating)
            try await CloudCatalog.prepare(pool, by: .looking)
            let catalog = CloudCatalog(pool: pool)
            #expect(try await catalog.token(secretDigest: digest)?.subject == Subject("phone"))
            #expect(try await catalog.files(FileQuery()).items.map(\.path) == [nil])
            #expect(try await catalog.faults() == [])
            let expected = Usage(charge: Charge.of(4) + Charge.of(0), letGo: Charge.rows, openUploads: 1)
            #expect(try await catalog.usage(of: Subject("ann")) == expected)

            // Uploads that the one began, the other completes.
            #expect(try await catalog.lease(of: try #require(try await catalog.upload(open))).upload.path == nil)
            let path = RelativePath(trusted: "2026/may/call.wav")
            let upload = Upload(
                id: UploadID(), owner: Subject("ann"), name: nil, isTemporary: false, path: path,
                expires: Date(timeIntervalSince1970: 4_000_000_000))
            try await catalog.create(upload, openUploadLimit: 10, quota: nil)
            // An answer that was lost on the way is asked for again.
            try await catalog.create(upload, openUploadLimit: 10, quota: nil)
            #expect(try await catalog.upload(upload.id)?.path == path)
            let late = UploadID()
            try await old.create(late)
            try await old.complete(late, as: BlobDigest(of: "more".utf8))
            try await old.complete(upload.id, as: BlobDigest(of: "text".utf8))
            #expect(try await catalog.files(FileQuery()).items.map(\.path) == [nil, nil, path])
            // What older nodes change counts, too.
            #expect(try await catalog.faults() == [])
            let later = Usage(charge: 3 * Charge.of(4) + Charge.of(0), letGo: 3 * Charge.rows, openUploads: 1)
            #expect(try await catalog.usage(of: Subject("ann")) == later)
            await pool.close()
        }
    }

    /// Rows of the second version have no ETags. Its nodes go on beside a newer one.
    @Test func secondVersionIsBroughtUpToDateBesideItsNodes() async throws {
        try await TestSchema.with { schema in
            let (pool, bucket) = (try schema.pool(connections: 4), try Engines.bucket())
            let (old, digest) = (OldNode(pool: pool), BlobDigest(of: "text".utf8))
            try await Self.makeTables(of: 2, in: pool)
            func upload() async throws {
                let object = ObjectKey(upload: UploadID().uuid, name: "1-1-old")
                try await bucket.put(object.text, [ByteBuffer(string: "text")])
                try await old.create(UploadID(object.upload))
                try await old.complete(UploadID(object.upload), as: digest, holding: object)
            }
            try await upload()
            try await CloudCatalog.prepare(pool, by: .migrating)
            let node = TestNode(on: CloudByteStore(pool: pool, bucket: bucket, retention: .long))
            for _ in 0..<2 {
                #expect(try await node.download(digest) == "text")
                #expect(try await node.bytes.content(of: digest)?.pieces.map(\.eTag) == [nil])
                try await upload()
            }
            try await node.upload("text")
            #expect(try await node.bytes.content(of: digest)?.pieces.contains { $0.eTag == nil } == false)
            #expect(try await node.download(digest) == "text")
            #expect(try await node.catalog.faults() == [])
            await bucket.shutdown()
            await pool.close()
        }
    }

    /// Nodes of the fourth version make tokens, and note no use of them.
    @Test func fourthVersionIsBroughtUpToDateBesideItsNodes() async throws {
        try await TestSchema.with { schema in
            let pool = try schema.pool(connections: 2)
            try await Self.makeTables(of: 4, in: pool)
            let hour = Date(timeIntervalSince1970: 1_749_999_600)
            func makeToken(_ name: String) async throws {
                let insert = """
                    INSERT INTO tokens (secret_digest, name, scopes, created, expires, subject)
                        VALUES ($1, $2, 'read', 1000, NULL, 'ann')
                    """
                _ = try await pool.query(insert, [.digest(BlobDigest(of: name.utf8)), .text(name)])
            }
            try await makeToken("phone")
            try await CloudCatalog.prepare(pool, by: .migrating)
            try await makeToken("tablet")
            let catalog = CloudCatalog(pool: pool)
            #expect(try await catalog.tokens().map(\.lastUsed) == [nil, nil])
            for name in ["phone", "tablet"] {
                try await catalog.recordUse(ofToken: BlobDigest(of: name.utf8), in: hour)
            }
            let tokens = try await catalog.tokens()
            #expect(
                tokens.map(\.lastUsed) == [hour, hour] && tokens.map(\.subject) == [Subject("ann"), Subject("ann")])
            #expect(try await catalog.faults() == [])
            await pool.close()
        }
    }

    /// Makes the tables as a version of the server made them: `Tests/schemas`.
    private static func makeTables(of version: Int, in pool: PostgresPool) async throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../schemas")
        let scripts = try (1...version).map { number in
            try String(contentsOf: folder.appending(path: "version-\(number).sql"), encoding: .utf8)
        }
        try await pool.transaction(timeout: .seconds(60)) { transaction throws(PostgresError) in
            for script in scripts { try transaction.runScript(script) }
        }
    }

    /// A node that runs goes on when a newer one brings its own tables; an older one does not start.
    @Test func newerVersionIsRefusedAtTheStartOnly() async throws {
        try await TestSchema.with { schema in
            try await schema.withPool { pool in
                let catalog = CloudCatalog(pool: pool)
                let file = try await catalog.add("text")
                let lease = try await catalog.lease(of: try await catalog.start())
                _ = try await pool.query("UPDATE schema_version SET version = 1000")
                for table in ["uploads", "files", "blobs", "tokens"] {
                    _ = try await pool.query("ALTER TABLE \(table) ADD COLUMN newer TEXT DEFAULT 'x'")
                }
                for _ in 0..<3 {
                    #expect(try await catalog.file(file.id) == file)
                    #expect(try await catalog.lease(of: lease.upload).epoch > lease.epoch)
                    _ = try await catalog.add("text")
                }
                let errors = [
                    await #expect(throws: OperatorError.self) { try await CloudCatalog.prepare(pool, by: .migrating) },
                    await #expect(throws: OperatorError.self) { try await CloudCatalog.prepare(pool, by: .looking) },
                ]
                for error in errors {
                    #expect(error?.description.contains("1000") == true)
                }
            }
        }
    }

    @Test func onlyWhoMigratesChangesOlderTables() async throws {
        try await TestSchema.with { schema in
            let pool = try schema.pool(connections: 1)
            try await Self.makeTables(of: 2, in: pool)
            for preparation in [CloudCatalog.Preparation.looking, .creating] {
                let error = await #expect(throws: OperatorError.self) {
                    try await CloudCatalog.prepare(pool, by: preparation)
                }
                #expect(error?.description.contains("version 2") == true)
            }
            try await CloudCatalog.prepare(pool, by: .migrating)
            for preparation in [CloudCatalog.Preparation.looking, .creating] {
                try await CloudCatalog.prepare(pool, by: preparation)
            }
            await pool.close()
        }
    }

    @Test func emptyDatabaseIsFilledByWhoMayCreate() async throws {
        try await TestSchema.with { schema in
            let pool = try schema.pool(connections: 1)
            try await CloudCatalog.prepare(pool, by: .creating)
            try await CloudCatalog.prepare(pool, by: .looking)
            #expect(try await CloudCatalog(pool: pool).statistics() == Statistics())
            await pool.close()
        }
    }

    @Test func emptyDatabaseIsRefusedByWhoMayNotMigrate() async throws {
        try await TestSchema.with { schema in
            let pool = try schema.pool(connections: 1)
            let error = await #expect(throws: OperatorError.self) { try await CloudCatalog.prepare(pool, by: .looking) }
            #expect(error?.description.contains("The database is empty") == true)
            #expect(try await pool.query("SELECT 1 FROM pg_tables WHERE schemaname = current_schema()").isEmpty)
            await pool.close()
        }
    }
}

/// The database calls of a node of the first version.
private struct OldNode {
    let pool: PostgresPool

    func create(_ id: UploadID) async throws {
        let rows = try await pool.query(
            "SELECT create_upload($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            [
                .uuid(id.uuid), .text("ann"), .text("a"), .flag(false), .integer(4_000_000_000_000), .integer(0),
                .integer(0), .integer(0), .bytes(RunningDigest().encoded), .integer(100),
            ])
        #expect(try rows.first?.optionalInteger(0) == nil)
    }

    /// - Parameter object: the one that holds all bytes, if there are any.
    func complete(_ id: UploadID, as digest: BlobDigest, holding object: ObjectKey? = nil) async throws {
        let claimed = try await pool.query(
            "SELECT epoch FROM claim_upload($1, $2)", [.uuid(id.uuid), .integer(nil)])
        let epoch = try #require(try claimed.first?.integer(0))
        if let object {
            let published = try await pool.query(
                "SELECT publish_content($1, $2, $3, $4, $5, $6, $7)",
                [
                    .uuid(id.uuid), .integer(epoch), .digest(digest), .integer(4), .integers([0]), .integers([4]),
                    .texts([object.name]),
                ])
            #expect(try published.first?.optionalText(0) == nil)
        }
        let rows = try await pool.query(
            "SELECT refusal, new_file_id, completed FROM complete_upload($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                .uuid(id.uuid), .integer(epoch), .integer(0), .integer(4), .bytes(RunningDigest().encoded),
                .digest(digest), .integer(4_000_000_000_000), .integer(nil), .integer(nil),
            ])
        #expect(try rows.first?.optionalText(0) == nil)
    }
}
