// Bringing a database to the version that this program knows.

import BlobCore
import BlobStorage
import BlobStorageTesting
import CloudBackend
import PostgresPool
import Testing

@Suite(.timeLimit(.minutes(10))) struct MigrationTests {
    @Test func nodesMigrateTogether() async throws {
        try await TestSchema.with { schema in
            let pools = try (0..<8).map { _ in try schema.pool(connections: 1) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for pool in pools { group.addTask { try await CloudCatalog.migrate(pool) } }
                try await group.waitForAll()
            }
            var secrets: Set<[UInt8]> = []
            for pool in pools {
                try await CloudCatalog.checkVersion(of: pool)
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
                try await CloudCatalog.migrate(pool)
                #expect(try await catalog.file(file.id) == file)
                #expect(try await CloudCatalog(pool: pool).secret() == catalog.secret())
            }
        }
    }

    /// A node that runs goes on when a newer one brings its own tables; an older one does not start.
    @Test func newerVersionIsRefusedAtTheStartOnly() async throws {
        try await TestSchema.with { schema in
            try await schema.withPool { pool in
                let catalog = CloudCatalog(pool: pool)
                let file = try await catalog.add("text")
                let upload = try await catalog.claim(try await catalog.start().id)
                _ = try await pool.query("UPDATE schema_version SET version = 1000")
                for table in ["uploads", "files", "blobs", "tokens"] {
                    _ = try await pool.query("ALTER TABLE \(table) ADD COLUMN newer TEXT DEFAULT 'x'")
                }
                for _ in 0..<3 {
                    #expect(try await catalog.file(file.id) == file)
                    #expect(try await catalog.claim(upload.id).epoch > upload.epoch)
                    _ = try await catalog.add("text")
                }
                let errors = [
                    await #expect(throws: BlobError.self) { try await CloudCatalog.migrate(pool) },
                    await #expect(throws: BlobError.self) { try await CloudCatalog.checkVersion(of: pool) },
                ]
                for error in errors {
                    #expect(error?.code == .unavailable)
                    #expect(error?.message.contains("1000") == true)
                }
            }
        }
    }

    @Test func emptyDatabaseIsRefusedByWhoMayNotMigrate() async throws {
        try await TestSchema.with { schema in
            let pool = try schema.pool(connections: 1)
            let error = await #expect(throws: BlobError.self) { try await CloudCatalog.checkVersion(of: pool) }
            #expect(error?.code == .unavailable)
            #expect(try await pool.query("SELECT 1 FROM pg_tables WHERE schemaname = current_schema()").isEmpty)
            await pool.close()
        }
    }
}
