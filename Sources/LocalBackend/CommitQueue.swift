// Group commit: all callers that wait share one transaction, and so one fsync.

import BlobCore
import BlobStorage
import GRDB
import Metrics
import NIOPosix
import Synchronization

/// Runs changes in shared transactions, in the order in which they came, on a thread of its own.
///
/// A caller hears of its change when the transaction that holds it is durable. A change that throws is undone alone;
/// the others of its transaction stay. When the transaction itself fails, all of them fail.
final class CommitQueue: Sendable {
    private struct Operation: Sendable {
        /// Makes the change, and returns the call that tells the caller once the change is durable.
        let run: @Sendable (Database) throws -> @Sendable () -> Void
        let fail: @Sendable (BlobError) -> Void
        /// Whether it is refused when the disk is full.
        let isAdding: Bool
    }

    private struct State {
        var waiting: [Operation] = []
        var isDraining = false
        var isClosed = false
    }

    /// Bounds how long the first of a transaction waits for the last.
    private static let largestBatch = 512

    private let state = Mutex(State())
    private let writer: WriterConnection
    private let errors: DatabaseErrors
    private let room: DiskRoom?
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let duration = Metrics.Timer(label: "blobd_commit_duration_seconds")

    init(writer: WriterConnection, errors: DatabaseErrors, room: DiskRoom?) {
        self.room = room
        self.writer = writer
        self.errors = errors
        thread.start()
    }

    deinit {
        thread.shutdownGracefully { _ in }
    }

    /// Makes a change; returns when it is durable. Where the transaction found no room, `body` runs again in another,
    /// unless it is adding.
    func perform<Value: Sendable>(
        adding isAdding: Bool = false,
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(BlobError) -> Value {
        let result: Result<Value, BlobError> = await withCheckedContinuation { continuation in
            enqueue(
                Operation(
                    run: { db in
                        let value = try body(db)
                        return { continuation.resume(returning: .success(value)) }
                    },
                    fail: { continuation.resume(returning: .failure($0)) },
                    isAdding: isAdding
                )
            )
        }
        return try result.get()
    }

    /// Copies the log into the database, as far as that is possible now.
    func checkpoint() async {
        await withCheckedContinuation { continuation in
            thread.submit { _ in
                try? self.writer.reuseLog()
                continuation.resume()
            }
        }
    }

    /// Lets earlier calls finish, then closes the connection.
    func close() async {
        state.withLock { $0.isClosed = true }
        await withCheckedContinuation { continuation in
            thread.submit { _ in
                // A change may have been accepted whose turn was not submitted yet.
                self.drain()
                self.writer.close()
                continuation.resume()
            }
        }
        try? await thread.shutdownGracefully()
    }

    private func enqueue(_ operation: Operation) {
        let (isAccepted, isIdle) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.waiting.append(operation)
            defer { state.isDraining = true }
            return (true, !state.isDraining)
        }
        guard isAccepted else { return operation.fail(.stopping) }
        if isIdle { thread.submit { _ in self.drain() } }
    }

    private func drain() {
        while let batch = nextBatch() { commit(batch) }
    }

    private func nextBatch() -> [Operation]? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isDraining = false
                return nil
            }
            let batch = Array(state.waiting.prefix(Self.largestBatch))
            state.waiting.removeFirst(batch.count)
            return batch
        }
    }

    private func commit(_ batch: [Operation], isLastTry: Bool = false) {
        let start = ContinuousClock.now
        do {
            let answers = try writer.execute { db in try transaction(batch, in: db) }
            duration.record(duration: ContinuousClock.now - start)
            for answer in answers { answer() }
        } catch {
            if DatabaseErrors.leavesConnectionInDoubt(error) { writer.doubt() }
            let classified = errors.classified(error)
            let goingOn = DatabaseErrors.isForWantOfRoom(error) && !isLastTry ? makingRoom(for: batch) : []
            for operation in batch where goingOn.isEmpty || operation.isAdding { operation.fail(classified) }
            if !goingOn.isEmpty { commit(goingOn, isLastTry: true) }
        }
    }

    /// - Returns: the changes to be made again, now that there is more room, or without the others.
    private func makingRoom(for batch: [Operation]) -> [Operation] {
        let goingOn = batch.filter { !$0.isAdding }
        guard !goingOn.isEmpty else { return [] }
        guard room?.release() == true else { return goingOn.count < batch.count ? goingOn : [] }
        // What is in the log already may fit into the database now, and then the log's own room is free.
        try? writer.reuseLog()
        return goingOn
    }

    /// - Returns: the calls that tell the callers.
    /// - Throws: when nothing of the batch was committed.
    private func transaction(_ batch: [Operation], in db: Database) throws -> [@Sendable () -> Void] {
        do {
            try db.cachedStatement(sql: "BEGIN IMMEDIATE").execute()
            let answers = try batch.map { operation in try run(operation, in: db) }
            try db.cachedStatement(sql: "COMMIT").execute()
            return answers
        } catch {
            if db.isInsideTransaction { try? db.rollback() }
            throw error
        }
    }

    private func run(_ operation: Operation, in db: Database) throws -> @Sendable () -> Void {
        try db.cachedStatement(sql: "SAVEPOINT operation").execute()
        do {
            let answer = try operation.run(db)
            try db.cachedStatement(sql: "RELEASE operation").execute()
            return answer
        } catch {
            // After some errors SQLite has undone the whole transaction already. Where there is no room for one change,
            // there is none for the others.
            guard db.isInsideTransaction, !DatabaseErrors.isForWantOfRoom(error) else { throw error }
            try db.cachedStatement(sql: "ROLLBACK TO operation").execute()
            try db.cachedStatement(sql: "RELEASE operation").execute()
            let error = errors.classified(error)
            return { operation.fail(error) }
        }
    }
}
