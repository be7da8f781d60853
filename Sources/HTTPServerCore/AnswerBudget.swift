// How much memory answers take that their clients have not taken yet.

import Synchronization

/// Shares memory out among the answers whose bytes are read into memory before they are sent: through TLS and HTTP/2,
/// and where they are few. What is beyond an answer's share stays on the disk until its client has taken the rest, so
/// that clients who ask and do not read cost little, whatever they have asked for.
///
/// A share is looked up for each chunk. An answer that has stopped holds the chunks that it had by then: one that
/// begins alone has large ones, the hundredth none that would be missed.
final class AnswerBudget: Sendable {
    /// In bytes.
    static let largestChunk = 256 * 1024
    private static let smallestChunk = 4 * 1024

    /// What a part may always have, whatever the whole has given away. In bytes.
    private static let least = 64 * 1024

    private let byteCount: Int
    private let parent: AnswerBudget?
    private let count = Atomic(0)
    private let heldByteCount = Atomic(0)

    /// - Parameters:
    ///   - byteCount: what is shared out.
    ///   - parent: the budget that this one is a part of.
    init(_ byteCount: Int, within parent: AnswerBudget? = nil) {
        (self.byteCount, self.parent) = (byteCount, parent)
    }

    /// Takes part, for as long as an answer may hold bytes.
    ///
    /// - Parameter byteCount: of an answer that was made before anybody asked how large it may be.
    func join(holding byteCount: Int = 0) { change(1, byteCount) }

    func leave(holding byteCount: Int = 0) { change(-1, -byteCount) }

    private func change(_ count: Int, _ byteCount: Int) {
        self.count.add(count, ordering: .relaxed)
        heldByteCount.add(byteCount, ordering: .relaxed)
        parent?.change(count, byteCount)
    }

    /// Whether another answer may be made that has to be held as it is.
    var hasRoom: Bool {
        let held = heldByteCount.load(ordering: .relaxed)
        return held < byteCount && (held < Self.least || parent?.hasRoom ?? true)
    }

    /// The most that one read of an answer may bring. It has two of them at one time: one that is sent, and the next.
    var chunkByteCount: Int {
        let share = byteCount / (2 * max(1, count.load(ordering: .relaxed)))
        let own = min(max(share, Self.smallestChunk), Self.largestChunk)
        return parent.map { min(own, $0.chunkByteCount) } ?? own
    }
}
