// The random tests find no difference between a model and itself, and do find one where there is one.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Synchronization
import Testing

/// The state that an in-memory backend keeps over a restart: its instance that runs now.
private final class Survivor<Store: Sendable>: Sendable {
    private let store = Mutex<Store?>(nil)

    /// The first call makes a store, the later ones restart it.
    func start(_ make: @Sendable () -> Store, restarted: @Sendable (Store) -> Store) -> Store {
        store.withLock { store in
            let next = store.map(restarted) ?? make()
            store = next
            return next
        }
    }
}

@Suite struct RandomOperationTests {
    @Test(arguments: UInt64(1)...10)
    func catalogAgainstItself(seed: UInt64) async throws {
        let survivor = Survivor<InMemoryCatalog>()
        try await RandomOperations(seed: seed, steps: 400).run(againstCatalog: { clock in
            survivor.start({ InMemoryCatalog(clock: clock) }, restarted: { $0.restarted() })
        })
    }

    @Test(arguments: UInt64(1)...10)
    func byteStoreAgainstItself(seed: UInt64) async throws {
        let survivor = Survivor<InMemoryByteStore>()
        try await RandomOperations(seed: seed, steps: 300).run(againstByteStore: {
            survivor.start(
                { InMemoryByteStore() }, restarted: { $0.restarted(losingUnflushed: seed.isMultiple(of: 2)) }
            )
        })
    }

    /// A catalog that forgets everything at a restart is found out, at the same operation every time.
    @Test func forgetfulCatalogIsFoundOut() async throws {
        var reports: [String] = []
        for _ in 0..<2 {
            let divergence = try await #require(throws: Divergence.self) {
                try await RandomOperations(seed: 1, steps: 1000).run(againstCatalog: InMemoryCatalog.init(clock:))
            }
            #expect(divergence.seed == 1)
            #expect(divergence.description.contains("seed 1"))
            reports.append(divergence.operations.joined(separator: "\n"))
        }
        #expect(reports[0] == reports[1])
    }

    @Test func forgetfulByteStoreIsFoundOut() async throws {
        await #expect(throws: Divergence.self) {
            try await RandomOperations(seed: 1, steps: 1000).run(againstByteStore: { InMemoryByteStore() })
        }
    }
}
