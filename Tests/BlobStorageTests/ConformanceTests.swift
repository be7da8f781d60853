// The models keep the contracts of which they are the models.

import BlobStorage
import BlobStorageTesting
import Testing

@Suite struct ConformanceTests {
    @Test(arguments: CatalogConformance.allCases)
    func catalog(rule: CatalogConformance) async throws {
        try await rule.check { clock in InMemoryCatalog(clock: clock) }
    }

    @Test(arguments: ByteStoreConformance.allCases)
    func byteStore(rule: ByteStoreConformance) async throws {
        try await rule.check { InMemoryByteStore() }
    }

    @Test(arguments: ByteStoreConformance.allCases)
    func byteStoreOfLimitedCapacity(rule: ByteStoreConformance) async throws {
        try await rule.check { InMemoryByteStore(capacity: 64 << 20) }
    }
}
