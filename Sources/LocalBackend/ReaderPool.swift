// Reading connections, each used by one thread at a time.

import BlobCore
import BlobStorage
import GRDB
import NIOPosix
import Synchronization

/// A bounded number of threads that read, with a connection for each.
///
/// No transaction is put around a read: a single SELECT sees a consistent state by itself.
final class ReaderPool: Sendable {
    private let connector: Connector
    private let threads: NIOThreadPool
    private let idle = Mutex<[DatabaseQueue]>([])

    init(connector: Connector, count: Int) {
        self.connector = connector
        threads = NIOThreadPool(numberOfThreads: count)
        threads.start()
    }

    deinit {
        threads.shutdownGracefully { _ in }
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async -> Result<Value, any Error> {
        await withCheckedContinuation { continuation in
            threads.submit { state in
                guard state == .active else {
                    return continuation.resume(returning: .failure(BlobError.stopping))
                }
                continuation.resume(returning: Result { try self.execute(body) })
            }
        }
    }

    func close() async {
        try? await threads.shutdownGracefully()
        let connections = idle.withLock { connections in
            defer { connections = [] }
            return connections
        }
        for connection in connections { try? connection.close() }
    }

    private func execute<Value>(_ body: (Database) throws -> Value) throws -> Value {
        let connection = try idle.withLock { $0.popLast() } ?? connector.reader()
        // A connection that met an error is not used again.
        let value = try connection.unsafeRead { db in try SystemFailure.watching(db, body) }
        idle.withLock { $0.append(connection) }
        return value
    }
}
