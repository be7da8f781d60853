// Blobs' files whose names others have taken, until nobody learns from it when their blocks are freed.

import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Closes files a while after others took their places: decision 35.
///
/// A file without a name goes with its last descriptor, and freeing its blocks takes longer than all else that a
/// completion does. Done within the request, or beside it, that would tell who uploads that a content was here.
final class ReplacedFiles: Sendable {
    /// Long after the answer to whom replaced the file, and so short that nobody misses the room.
    private static let delay = TimeAmount.seconds(1)
    /// Files at a time. Who replaces more learns something, and takes no descriptors from others.
    private static let limit = 64

    private let threads: NIOThreadPool
    private let held = Mutex(0)

    init(threads: NIOThreadPool) {
        self.threads = threads
    }

    func closeLater(_ descriptor: CInt) {
        let isRoom = held.withLock { held in
            guard held < Self.limit else { return false }
            held += 1
            return true
        }
        guard isRoom else { return close(descriptor) }
        MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: Self.delay) { [self] in
            held.withLock { $0 -= 1 }
            close(descriptor)
        }
    }

    /// Also where the pool has ended: it then calls at once.
    private func close(_ descriptor: CInt) {
        threads.submit { _ in _ = Glibc.close(descriptor) }
    }
}
