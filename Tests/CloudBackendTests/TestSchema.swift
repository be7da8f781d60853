// A schema of its own in the tests' database, which is dropped with its last user.

import CloudBackend
import Foundation
import Logging
import PostgresPool
import Synchronization

/// Lets some tests run at one time: a server takes a hundred connections, and many tests have several.
private final class Turns: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(_ count: Int) {
        state = Mutex(State(free: count))
    }

    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func give() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiting.isEmpty {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}

/// A place for a test's tables, apart from all others.
struct TestSchema {
    struct Missing: Error, CustomStringConvertible {
        let description = "BLOBD_TEST_POSTGRES names no server. Run these tests by `Tests/engines/run swift test …`."
    }

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static let turns = Turns(8)

    private let server: String
    private let name = "test_" + UUID().uuidString.lowercased().replacing("-", with: "")

    private init() throws {
        guard let url = ProcessInfo.processInfo.environment["BLOBD_TEST_POSTGRES"], !url.isEmpty else {
            throw Missing()
        }
        server = url
    }

    /// Makes a schema for the time of the body.
    static func with(_ body: (TestSchema) async throws -> Void) async throws {
        let schema = try TestSchema()
        await turns.take()
        defer { turns.give() }
        let pool = try PostgresPool(url: schema.server, connections: 1, logger: logger)
        do {
            _ = try await pool.query("CREATE SCHEMA \(schema.name)")
            try await body(schema)
        } catch {
            _ = try? await pool.query("DROP SCHEMA IF EXISTS \(schema.name) CASCADE", timeout: .seconds(60))
            await pool.close()
            throw error
        }
        _ = try await pool.query("DROP SCHEMA \(schema.name) CASCADE", timeout: .seconds(60))
        await pool.close()
    }

    /// Connects to the schema.
    ///
    /// - Parameter options: more settings of the session, such as `-cenable_seqscan=off`.
    func pool(connections: Int = 8, options: String = "") throws -> PostgresPool {
        let options = "-csearch_path=\(name) \(options)".replacing("=", with: "%3D").replacing(" ", with: "%20")
        let separator = server.contains("?") ? "&" : "?"
        var settings = PostgresPool.Settings()
        settings.waitLimit = .seconds(60)
        settings.statementTimeout = .seconds(60)
        return try PostgresPool(
            url: "\(server)\(separator)options=\(options)", connections: connections, settings: settings,
            logger: Self.logger
        )
    }

    /// A pool on the schema with its tables made, closed after the body.
    func withPool(
        connections: Int = 8, options: String = "", _ body: (PostgresPool) async throws -> Void
    ) async throws {
        let pool = try pool(connections: connections, options: options)
        do {
            try await CloudCatalog.prepare(pool, by: .migrating)
            try await body(pool)
        } catch {
            await pool.close()
            throw error
        }
        await pool.close()
    }
}
