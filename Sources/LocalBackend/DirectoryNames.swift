// Makes the names in one directory durable, for many who give names at the same time.

import BlobCore
import BlobStorage
import Synchronization
import SystemPackage

/// The names in a directory.
///
/// A failed sync may have dropped names of everybody who gave one before it ended, and the next sync knows nothing of
/// that and succeeds. So syncs are made one after another, and one that fails fails them all. Those who wait for one
/// that began after they gave their names share it.
final class DirectoryNames: Sendable {
    private struct Syncs {
        /// The number of the last one that succeeded.
        var lastGood = 0
        var failures = 0
    }

    private let path: FilePath
    private let begun = Atomic(0)
    private let failed = Atomic(0)
    private let syncs = Mutex(Syncs())

    init(of path: FilePath) {
        self.path = path
    }

    /// Gives names in the directory, and returns when they are durable. Blocks.
    ///
    /// - Throws: ``BlobError/Reason/uploadFailed`` when they may be lost, and what `naming` throws.
    func change(_ disk: Disk, _ naming: () throws(BlobError) -> Void) throws(BlobError) {
        let failuresBefore = failed.load(ordering: .acquiring)
        try naming()
        let begunBefore = begun.load(ordering: .sequentiallyConsistent)
        try syncs.withLock { syncs throws(BlobError) in
            guard syncs.failures == failuresBefore else { throw .uploadFailed }
            // One that began after the names were given.
            if syncs.lastGood > begunBefore { return }
            let number = begun.add(1, ordering: .sequentiallyConsistent).newValue
            do throws(BlobError) {
                try disk.syncDirectory(path)
            } catch {
                if error.reason == .uploadFailed {
                    syncs.failures += 1
                    failed.store(syncs.failures, ordering: .releasing)
                }
                throw error
            }
            syncs.lastGood = number
        }
    }
}
