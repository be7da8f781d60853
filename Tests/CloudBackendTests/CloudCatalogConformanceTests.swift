// The rules of every catalog, checked on the one in PostgreSQL.

import BlobCore
import BlobStorage
import BlobStorageTesting
import CloudBackend
import PostgresPool
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(10))) struct CloudCatalogConformanceTests {
    @Test(arguments: CatalogConformance.allCases)
    func conformance(rule: CatalogConformance) async throws {
        try await TestSchema.with { schema in
            try await schema.withPool { pool in
                try await rule.check { clock in CloudCatalog(pool: pool, clock: clock) }
            }
        }
    }

    @Test(arguments: UInt64(1)...20)
    func randomOperations(seed: UInt64) async throws {
        try await TestSchema.with { schema in
            let pools = Mutex<[PostgresPool]>([])
            try await RandomOperations(seed: seed, steps: 400).run(
                againstCatalog: { clock in
                    let pool = try schema.pool(connections: 2)
                    pools.withLock { $0.append(pool) }
                    try await CloudCatalog.prepare(pool, by: .migrating)
                    return CloudCatalog(pool: pool, clock: clock)
                },
                closing: { catalog in
                    let faults = try await catalog.faults()
                    #expect(faults == [])
                    await pools.withLock(\.last)?.close()
                }
            )
        }
    }
}
