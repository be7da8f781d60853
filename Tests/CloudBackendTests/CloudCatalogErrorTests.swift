// A caller's errors when the database fails.

import BlobCore
import BlobStorage
import BlobStorageTesting
import CloudBackend
import Logging
import PostgresPool
import Testing

@Suite(.timeLimit(.minutes(10))) struct CloudCatalogErrorTests {
    @Test func unreachableDatabaseIsUnavailableAndSaysWhenToTryAgain() async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let pool = try PostgresPool(url: "postgresql://test@127.0.0.1:1/postgres", logger: logger)
        let catalog = CloudCatalog(pool: pool, logger: logger)
        let error = await #expect(throws: BlobError.self) { try await catalog.checkReadiness() }
        #expect(error?.reason == .unavailable(.databaseUnreachable))
        await pool.close()
    }

    private static let classes: [(String, BlobError.Reason)] = [
        ("BD001", .unavailable(.contentGone)), ("53100", .insufficientStorage(.database)),
        ("25006", .unavailable(.databaseUnreachable)),
    ]

    @Test(arguments: classes)
    func errorsOfTheDatabaseAreClassified(state: String, reason: BlobError.Reason) async throws {
        try await TestSchema.with { schema in
            try await schema.withPool(connections: 1) { pool in
                let catalog = CloudCatalog(pool: pool)
                let lease = try await catalog.lease(of: try await catalog.start())
                _ = try await pool.query(
                    """
                    CREATE OR REPLACE FUNCTION adopt_content(p_upload UUID, p_epoch BIGINT, p_digest BYTEA)
                        RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '\(state)'; END $$
                    """
                )
                let error = await #expect(throws: BlobError.self) {
                    _ = try await catalog.complete(
                        lease, with: RunningDigest(of: "text".utf8), expires: lease.upload.expires, fileExpires: nil,
                        quota: nil
                    )
                }
                #expect(error?.reason == reason)
                // The statement changed nothing.
                // After 25006 the pool waits a moment before it connects again.
                while (try? await catalog.upload(lease.id)) == nil { try await Task.sleep(for: .milliseconds(10)) }
                #expect(try await catalog.upload(lease.id) == lease.upload)
                #expect(try await catalog.faults() == [])
            }
        }
    }

    @Test func damagedRowIsAnErrorOfItsCall() async throws {
        try await TestSchema.with { schema in
            try await schema.withPool(connections: 1) { pool in
                let catalog = CloudCatalog(pool: pool)
                let (good, bad) = (try await catalog.start(), try await catalog.start())
                _ = try await pool.query(
                    "UPDATE uploads SET digest_state = '\\x00' WHERE id = $1", [.uuid(bad.id.uuid)]
                )
                let error = await #expect(throws: BlobError.self) { _ = try await catalog.upload(bad.id) }
                #expect(error?.reason == .unavailable(.databaseDamaged))
                #expect(try await catalog.upload(good.id) == good)
            }
        }
    }

    /// Rows that somebody changed behind the triggers' back.
    @Test(arguments: [
        "UPDATE totals SET files = files + 1 WHERE slot = 3", "UPDATE usage SET file_bytes = 0",
        "UPDATE usage SET charge = 0", "UPDATE usage SET let_go = let_go + 1 WHERE slot = counter_slot()",
        "UPDATE blob_totals SET blobs = 0", "UPDATE blobs SET dying_since = 1", "UPDATE blobs SET size = size + 1",
    ])
    func faultsAreFound(damage: String) async throws {
        try await TestSchema.with { schema in
            try await schema.withPool(connections: 1) { pool in
                let catalog = CloudCatalog(pool: pool)
                _ = try await catalog.add("text")
                #expect(try await catalog.faults() == [])
                _ = try await pool.query(damage)
                #expect(try await !catalog.faults().isEmpty)
            }
        }
    }
}
