// The rules of every catalog, checked on the one in SQLite.

import BlobCore
import BlobStorage
import BlobStorageTesting
import LocalBackend
import Testing

@Suite struct LocalCatalogConformanceTests {
    @Test(arguments: CatalogConformance.allCases)
    func conformance(rule: CatalogConformance) async throws {
        let directory = try ScratchDirectory()
        try await rule.check { clock in try LocalCatalog(path: directory.catalog, clock: clock) }
    }

    @Test(arguments: UInt64(1)...20)
    func randomOperations(seed: UInt64) async throws {
        let directory = try ScratchDirectory()
        try await RandomOperations(seed: seed, steps: 400).run(
            againstCatalog: { clock in try LocalCatalog(path: directory.catalog, clock: clock) },
            closing: { await $0.close() }
        )
    }
}
