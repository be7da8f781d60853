// Several files at a time.

import Synchronization

/// The queue that several workers take from.
final class WorkQueue<Item: Sendable>: Sendable {
    private let items: Mutex<ArraySlice<Item>>

    init(_ items: [Item]) { self.items = Mutex(items[...]) }

    var isEmpty: Bool { items.withLock { $0.isEmpty } }

    func next() -> Item? { items.withLock { $0.popFirst() } }
}

extension TransferReporter {
    /// Has this many workers do all items that come from `next`. They end when nothing is left, when the task is
    /// cancelled, and when an error was reported that every further item would meet; running ones are cancelled then.
    func work<Item: Sendable>(
        jobs: Int, next: @escaping @Sendable () async -> Item?, _ work: @escaping @Sendable (Item) async -> Void
    ) async {
        begin()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<jobs {
                group.addTask {
                    while !Task.isCancelled, !self.isHalted, let item = await next() { await work(item) }
                }
            }
            for await _ in group where isHalted { group.cancelAll() }
        }
    }
}
