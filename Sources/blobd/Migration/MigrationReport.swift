// What a migration tells, as it goes on.

import BlobCore
import Program
import Synchronization

/// Puts how far a migration is on standard output: on one line of a terminal, which is drawn anew, or on lines of a
/// log.
final class MigrationReport: Sendable {
    private struct State {
        var progress = ByteProgress()
        var blobs: Int64 = 0
    }

    private let isTerminal: Bool
    private let state = Mutex(State())

    init(isTerminal: Bool) {
        self.isTerminal = isTerminal
    }

    func begin(byteCount: Int64) {
        state.withLock { $0.progress.total = byteCount }
    }

    /// Leaves out bytes that need not be sent.
    func skip(_ byteCount: Int64) {
        state.withLock { $0.progress.total -= byteCount }
    }

    func sent(_ byteCount: Int) {
        state.withLock { state in
            guard state.progress.add(byteCount, showingEvery: isTerminal ? .milliseconds(200) : .seconds(10)) else {
                return
            }
            let text = "\(state.blobs) blobs, \(state.progress.text)"
            Console.tell(isTerminal ? Console.lineStart + text : text, ending: isTerminal ? "" : "\n")
        }
    }

    func finished() {
        state.withLock { $0.blobs += 1 }
    }

    func damaged(_ digest: BlobDigest) {
        tell("the blob \(digest) is damaged: its bytes are not brought")
    }

    func tell(_ text: String) {
        Console.tell(isTerminal ? Console.lineStart + text : text)
    }

    /// Such as "100 blobs, 3.4 GiB in 1m 3s".
    var summary: String {
        state.withLock { state in
            "\(state.blobs) blobs, \(sizeText(state.progress.done)) in \(ByteProgress.time(state.progress.seconds))"
        }
    }
}
