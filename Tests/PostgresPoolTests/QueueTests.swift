// Many callers, few connections: order, bounds, and callers that go away.

import PostgresPool
import Testing

@Suite(.timeLimit(.minutes(10))) struct QueueTests {
    @Test(arguments: [true, false])
    func manyCallersShareFewConnections(prepared: Bool) async throws {
        var settings = PostgresPool.Settings()
        settings.usesPreparedStatements = prepared
        try await TestServer.withPool(connections: 4, settings: settings) { pool in
            let pids = try await withThrowingTaskGroup(of: Int64.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let rows = try await pool.query("SELECT $1, pg_backend_pid()", [.integer(Int64(number))])
                        #expect(try rows.first?.integer(0) == Int64(number))
                        return try #require(rows.first).integer(1)
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(pids.count <= 4)
        }
    }

    @Test func connectionsAreMadeOnDemand() async throws {
        try await TestServer.withPool(connections: 8) { pool in
            var pids: Set<Int64> = []
            for _ in 0..<20 { pids.insert(try #require(await pool.query("SELECT pg_backend_pid()").first).integer(0)) }
            // A caller may come back before its connection does.
            #expect(pids.count <= 4)
        }
    }

    @Test func idleConnectionIsClosed() async throws {
        var settings = PostgresPool.Settings()
        settings.idleLimit = .milliseconds(50)
        try await TestServer.withPool(connections: 1, settings: settings) { pool in
            try await TestServer.withPool(connections: 1) { other in
                let pid = try #require(await pool.query("SELECT pg_backend_pid()").first).integer(0)
                let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1"
                while try await !other.query(sql, [.integer(pid)]).isEmpty { try Task.checkCancellation() }
                #expect(try await pool.query("SELECT 7::int8").first?.integer(0) == 7)
            }
        }
    }

    @Test func waitingIsBounded() async throws {
        var settings = PostgresPool.Settings()
        settings.queueLimit = 3
        settings.waitLimit = .milliseconds(200)
        try await TestServer.withPool(connections: 1, settings: settings) { pool in
            try await TestServer.withPool(connections: 1) { other in
                async let blocked = failure { _ = try await pool.query("SELECT pg_sleep(62)", timeout: .seconds(30)) }
                let pid = try await TestServer.waitForStatement(holding: "pg_sleep(62)", in: other)
                let errors = try await withThrowingTaskGroup(of: PostgresError?.self) { group in
                    for _ in 0..<5 { group.addTask { try await failure { _ = try await pool.query("SELECT 1") } } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(errors.count == 5)
                #expect(errors.allSatisfy { $0?.kind == .busy })
                #expect(errors.count { $0?.message.contains("Too many") == true } == 2)
                _ = try await other.query("SELECT pg_cancel_backend($1::int4)", [.integer(pid)])
                #expect(try await blocked?.sqlState == "57014")
                #expect(try await pool.query("SELECT 7::int8").first?.integer(0) == 7)
            }
        }
    }

    @Test func cancelledCallerEndsNoCall() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            try await TestServer.withPool(connections: 1) { other in
                try await TestServer.withTable("id BIGINT", in: other) { table in
                    _ = try await other.query("SELECT pg_advisory_lock(63001)")
                    let task = Task {
                        try await pool.query(
                            "INSERT INTO \(table) SELECT 1 FROM (SELECT pg_advisory_xact_lock(63001)) AS wait")
                    }
                    _ = try await TestServer.waitForStatement(holding: "INSERT INTO \(table)", in: other)
                    task.cancel()
                    _ = try await other.query("SELECT pg_advisory_unlock(63001)")
                    _ = try await task.value
                    #expect(try await other.query("SELECT * FROM \(table)").count == 1)
                }
            }
        }
    }

    @Test func closingLetsCallsFinish() async throws {
        try await TestServer.withPool(connections: 2) { pool in
            try await TestServer.withPool(connections: 1) { other in
                _ = try await other.query("SELECT pg_advisory_lock(63002)")
                async let slow = pool.query("SELECT 63::int8 FROM (SELECT pg_advisory_xact_lock(63002)) AS wait")
                _ = try await TestServer.waitForStatement(holding: "SELECT 63::int8", in: other)
                async let closing: Void = pool.close()
                _ = try await other.query("SELECT pg_advisory_unlock(63002)")
                await closing
                #expect(try await slow.first?.integer(0) == 63)
                let error = try await failure { _ = try await pool.query("SELECT 1") }
                #expect(error?.kind == .closed)
                await pool.close()
            }
        }
    }

    /// Two statements lock two rows in opposite orders. The one that the server ends changed nothing and runs again.
    @Test func deadlockIsTriedAgain() async throws {
        try await TestServer.withPool(connections: 2) { pool in
            try await TestServer.withTable("id BIGINT PRIMARY KEY, number BIGINT", in: pool) { table in
                _ = try await pool.query("INSERT INTO \(table) VALUES (1, 0), (2, 0)")
                func raise(_ first: Int, _ second: Int) async throws {
                    _ = try await pool.query(
                        """
                        DO $$ BEGIN
                            UPDATE \(table) SET number = number + 1 WHERE id = \(first);
                            PERFORM pg_sleep(0.2);
                            UPDATE \(table) SET number = number + 1 WHERE id = \(second);
                        END $$
                        """
                    )
                }
                async let one: Void = raise(1, 2)
                async let two: Void = raise(2, 1)
                _ = try await (one, two)
                let rows = try await pool.query("SELECT number FROM \(table)")
                #expect(try rows.map { try $0.integer(0) } == [2, 2])
            }
        }
    }
}
