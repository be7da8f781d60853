// The PostgreSQL server that tests run against, and a schema of each test's own.

import Foundation
import Logging
import PostgresPool

/// Where the tests' server is.
enum TestServer {
    struct Missing: Error, CustomStringConvertible {
        let description = "BLOBD_TEST_POSTGRES names no server. Run these tests by `Tests/engines/run swift test …`."
    }

    static func url() throws -> String {
        guard let url = ProcessInfo.processInfo.environment["BLOBD_TEST_POSTGRES"], !url.isEmpty else {
            throw Missing()
        }
        return url
    }

    /// A pool on the server, closed after the test's body.
    static func withPool<Value>(
        connections: Int = 4, settings: PostgresPool.Settings = PostgresPool.Settings(),
        _ body: (PostgresPool) async throws -> Value
    ) async throws -> Value {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let pool = try PostgresPool(url: url(), connections: connections, settings: settings, logger: logger)
        do {
            let value = try await body(pool)
            await pool.close()
            return value
        } catch {
            await pool.close()
            throw error
        }
    }

    /// A table's name that no other test uses. The table is dropped after the body.
    static func withTable<Value>(
        _ columns: String, in pool: PostgresPool, _ body: (_ table: String) async throws -> Value
    ) async throws -> Value {
        let table = "test_" + UUID().uuidString.lowercased().replacing("-", with: "")
        _ = try await pool.query("CREATE TABLE \(table) (\(columns))")
        do {
            let value = try await body(table)
            _ = try await pool.query("DROP TABLE \(table)")
            return value
        } catch {
            _ = try? await pool.query("DROP TABLE \(table)")
            throw error
        }
    }

    /// Waits until a backend runs a statement that holds a text.
    static func waitForStatement(holding text: String, in pool: PostgresPool) async throws -> Int64 {
        let sql = """
            SELECT pid FROM pg_stat_activity
                WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, $1) > 0
            """
        while true {
            if let row = try await pool.query(sql, [.text(text)]).first { return try row.integer(0) }
            try Task.checkCancellation()
        }
    }
}

/// The error that a call throws.
func failure(_ call: () async throws -> Void) async throws -> PostgresError? {
    do {
        try await call()
        return nil
    } catch let error as PostgresError {
        return error
    }
}
