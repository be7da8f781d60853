// Keeps publishing and removing the same blob apart.

import BlobCore
import Synchronization

/// One holder per digest at a time, others wait in order.
///
/// Publishing puts bytes first and the row second, removing takes the row first and the bytes second; side by side on
/// one digest they could leave a row without bytes.
final class BlobLocks: Sendable {
    private let waiting = Mutex<[BlobDigest: [CheckedContinuation<Void, Never>]]>([:])

    /// Runs `operation` while no other holds the digest.
    func holding<Value: Sendable>(
        _ digest: BlobDigest, _ operation: () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        await acquire(digest)
        defer { release(digest) }
        return try await operation()
    }

    private func acquire(_ digest: BlobDigest) async {
        await withCheckedContinuation { continuation in
            let isFree = waiting.withLock { waiting in
                if waiting[digest] == nil {
                    waiting[digest] = []
                    return true
                }
                waiting[digest]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func release(_ digest: BlobDigest) {
        let next: CheckedContinuation<Void, Never>? = waiting.withLock { waiting in
            guard let queue = waiting[digest], !queue.isEmpty else {
                waiting[digest] = nil
                return nil
            }
            return waiting[digest]?.removeFirst()
        }
        next?.resume()
    }
}
