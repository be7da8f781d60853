// The output of a migration, as it goes on.

import BlobCore
import Program
import Synchronization

/// Puts how far a migration is on standard output: on one line of a terminal, which is drawn anew, or on lines of a
/// log.
final class MigrationReport: Sendable {
    private struct State {
        var progress = ByteProgress()
        var blobs: Int64 = 0
        /// The first of this report that could not be written. The work goes on: it is not done for the report.
        var failure: OutputFailure?
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
            put("\(state.blobs) blobs, \(state.progress.text)", ending: isTerminal ? "" : "\n", &state)
        }
    }

    func finished() {
        state.withLock { $0.blobs += 1 }
    }

    func damaged(_ digest: BlobDigest) {
        state.withLock { put("the blob \(digest) is damaged: its bytes are not brought", ending: "\n", &$0) }
    }

    /// Tells the result.
    ///
    /// - Throws: also when something before it could not be written.
    func end(_ text: String) throws(OutputFailure) {
        let failure = state.withLock { state in
            put(text, ending: "\n", &state)
            return state.failure
        }
        if let failure { throw failure }
    }

    private func put(_ text: String, ending: String, _ state: inout State) {
        do {
            try Console.tell(isTerminal ? Console.lineStart + text : text, ending: ending)
        } catch {
            state.failure = state.failure ?? error
        }
    }

    /// Such as "100 blobs, 3.4 GiB in 1m 3s".
    var summary: String {
        state.withLock { state in
            "\(state.blobs) blobs, \(sizeText(state.progress.done)) in \(ByteProgress.time(state.progress.seconds))"
        }
    }
}
