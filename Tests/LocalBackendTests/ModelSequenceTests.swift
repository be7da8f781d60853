// Many short random sequences of operations, restarts and jumps of the clock, each on a new catalog and compared with
// the model at every step. A difference tells its seed.

import BlobStorage
import BlobStorageTesting
import Foundation
import LocalBackend
import Testing

@Suite struct ModelSequenceTests {
    @Test(.timeLimit(.minutes(30)), arguments: UInt64(0)..<8)
    func catalog(batch: UInt64) async throws {
        for number in 0..<Self.sequences / 8 {
            let directory = try ScratchDirectory()
            try await RandomOperations(seed: batch << 32 | number, steps: 25).run(
                againstCatalog: { clock in try LocalCatalog(path: directory.catalog, clock: clock, readers: 1) },
                closing: { await $0.close() }
            )
        }
    }

    /// `MODEL_SEQUENCES` asks for another number.
    private static let sequences: UInt64 =
        ProcessInfo.processInfo.environment["MODEL_SEQUENCES"].flatMap(UInt64.init) ?? 10_000
}
