// Servers that are away, hang up, take too long, or forget prepared statements.

import Logging
import Synchronization
import Testing

@testable import PostgresPool

@Suite(.timeLimit(.minutes(10))) struct LostConnectionTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test func nobodyListens() async throws {
        let pool = try PostgresPool(url: "postgresql://test@127.0.0.1:1/postgres", logger: Self.logger)
        for _ in 0..<50 {
            let error = try await failure { _ = try await pool.query("SELECT 1") }
            #expect(error?.kind == .unreachable)
        }
        await pool.close()
    }

    /// While a server is away, one call from time to time tries again, for all.
    @Test func triesAreFewWhileTheServerIsAway() async throws {
        let availability = Availability(logger: Self.logger)
        let tries = Mutex(0)
        let start = ContinuousClock.now
        func attempt(succeeding: Bool) -> Bool {
            let result: Void? = try? availability.connect { () throws(PostgresError) in
                tries.withLock { $0 += 1 }
                if !succeeding { throw PostgresError(.unreachable, "away") }
            }
            return result != nil
        }
        while tries.withLock({ $0 }) < 3 { #expect(!attempt(succeeding: false)) }
        // At least half of 100 ms, and of 200 ms.
        #expect(ContinuousClock.now - start >= .milliseconds(150))
        #expect(availability.isAway)
        while !attempt(succeeding: true) { await Task.yield() }
        #expect(!availability.isAway)
        #expect(tries.withLock { $0 } == 4)
    }

    @Test func connectionThatEndedBetweenStatementsIsReplaced() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            try await TestServer.withPool(connections: 1) { other in
                for _ in 0..<5 {
                    let pid = try #require(try await pool.query("SELECT pg_backend_pid()").first).integer(0)
                    _ = try await other.query("SELECT pg_terminate_backend($1::int4, 5000)", [.integer(pid)])
                    let next = try #require(try await pool.query("SELECT pg_backend_pid()").first).integer(0)
                    #expect(next != pid)
                }
            }
        }
    }

    @Test(arguments: [false, true])
    func connectionThatEndsDuringAStatement(isRepeatable: Bool) async throws {
        try await TestServer.withPool(connections: 1) { pool in
            try await TestServer.withPool(connections: 1) { other in
                try await TestServer.withTable("id BIGINT", in: other) { table in
                    // The statement waits to be ended the first time, and not the next.
                    let sql = """
                        INSERT INTO \(table) SELECT 1 FROM
                            (SELECT pg_sleep(CASE WHEN EXISTS (SELECT 1 FROM \(table)) THEN 0 ELSE 30 END)) AS wait
                        """
                    async let result = failure { _ = try await pool.query(sql, isRepeatable: isRepeatable) }
                    let pid = try await TestServer.waitForStatement(holding: "SELECT 1 FROM \(table)", in: other)
                    _ = try await other.query("INSERT INTO \(table) VALUES (0)")
                    _ = try await other.query("SELECT pg_terminate_backend($1::int4, 5000)", [.integer(pid)])
                    let error = try await result
                    #expect(error?.kind == (isRepeatable ? nil : .connectionLost))
                    let rows = try await other.query("SELECT * FROM \(table)")
                    #expect(rows.count == (isRepeatable ? 2 : 1))
                }
            }
        }
    }

    @Test func statementPastItsDeadlineIsEnded() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            let start = ContinuousClock.now
            let error = try await failure {
                _ = try await pool.query("SELECT pg_sleep(61)", timeout: .milliseconds(100))
            }
            #expect(error?.kind == .timeout)
            #expect(ContinuousClock.now - start < .seconds(30))
            let running = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(61)'"
            while try await !pool.query(running).isEmpty { try Task.checkCancellation() }
        }
    }

    /// 8 MiB do not fit into the buffers of the kernel.
    @Test func largeParameterIsSent() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            let bytes = [UInt8](repeating: 1, count: 8 << 20)
            let row = try await pool.query("SELECT length($1)", [.bytes(bytes)]).first
            #expect(try row?.integer(0) == 8 << 20)
        }
    }

    @Test func forgottenStatementsArePreparedAgain() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            for _ in 0..<3 {
                #expect(try await pool.query("SELECT $1 + 1", [.integer(1)]).first?.integer(0) == 2)
                _ = try await pool.query("DEALLOCATE ALL")
            }
        }
    }

    @Test func statementIsPreparedAgainWhenItsTableChanges() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            try await TestServer.withTable("id BIGINT", in: pool) { table in
                _ = try await pool.query("INSERT INTO \(table) VALUES (7)")
                let sql = "SELECT * FROM \(table)"
                #expect(try await pool.query(sql).first?.integer(0) == 7)
                _ = try await pool.query("ALTER TABLE \(table) ADD COLUMN more TEXT DEFAULT 'new'")
                #expect(try await pool.query(sql).first?.text(1) == "new")
            }
        }
    }

    @Test func preparedStatementsAreBounded() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            for number in 0..<600 {
                #expect(try await pool.query("SELECT \(number)::int8").first?.integer(0) == Int64(number))
            }
            let count = try await pool.query("SELECT count(*) FROM pg_prepared_statements").first?.integer(0)
            #expect(try #require(count) <= 257)
        }
    }
}
