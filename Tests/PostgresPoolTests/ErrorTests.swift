// Errors are told apart by their state, and leave the connection as good as it was.

import Logging
import PostgresPool
import Testing

@Suite(.timeLimit(.minutes(10))) struct ErrorTests {
    @Test(arguments: [
        ("SELECT 1/0", "22012", PostgresError.Kind.rejected),
        ("SELEKT", "42601", .rejected),
        ("SELECT * FROM there_is_no_such_table", "42P01", .rejected),
        ("DO $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$", "53100", .diskFull),
        ("DO $$ BEGIN RAISE 'own' USING ERRCODE = 'BD001', DETAIL = 'more'; END $$", "BD001", .rejected),
        ("DO $$ BEGIN RAISE 'again' USING ERRCODE = '40001'; END $$", "40001", .conflict),
        ("DO $$ BEGIN RAISE 'locked' USING ERRCODE = '55P03'; END $$", "55P03", .conflict),
        ("DO $$ BEGIN RAISE 'stopping' USING ERRCODE = '57P01'; END $$", "57P01", .connectionLost),
        ("DO $$ BEGIN RAISE 'lost' USING ERRCODE = '08006'; END $$", "08006", .connectionLost),
    ])
    func statesHaveKinds(sql: String, state: String, kind: PostgresError.Kind) async throws {
        try await TestServer.withPool(connections: 1) { pool in
            let error = try await failure { _ = try await pool.query(sql) }
            #expect(error?.kind == kind)
            #expect(error?.sqlState == state)
            #expect(error?.detail == (state == "BD001" ? "more" : nil))
            #expect(try await pool.query("SELECT 7::int8").first?.integer(0) == 7)
        }
    }

    /// A server that does not write any more is left, and so is the connection to it.
    @Test func readOnlyServerIsUnreachable() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            let first = try await pool.query("SELECT pg_backend_pid()").first?.integer(0)
            let sql = "DO $$ BEGIN RAISE 'standby' USING ERRCODE = '25006'; END $$"
            let error = try await failure { _ = try await pool.query(sql) }
            #expect(error?.kind == .unreachable)
            var second: Int64?
            while second == nil {
                try Task.checkCancellation()
                second = try? await pool.query("SELECT pg_backend_pid()").first?.integer(0)
            }
            #expect(first != second)
        }
    }

    @Test func textWithNULIsRefused() async throws {
        try await TestServer.withPool(connections: 1) { pool in
            let error = try await failure { _ = try await pool.query("SELECT $1", [.text("a\0b")]) }
            #expect(error?.sqlState == "22021")
            #expect(try await pool.query("SELECT $1", [.text("ab")]).first?.text(0) == "ab")
        }
    }

    /// A deferred constraint is checked at the commit, after the statement's own answer.
    @Test func errorOfTheCommitIsTheStatements() async throws {
        try await TestServer.withPool { pool in
            try await TestServer.withTable("id BIGINT UNIQUE DEFERRABLE INITIALLY DEFERRED", in: pool) { table in
                let error = try await failure { _ = try await pool.query("INSERT INTO \(table) VALUES (1), (1)") }
                #expect(error?.sqlState == "23505")
                #expect(try await pool.query("SELECT * FROM \(table)").isEmpty)
            }
        }
    }

    @Test(arguments: [
        "", "mysql://u:secret@h/d", "postgresql://u:sec/ret@h/d", "postgresql://u:secr@et@h/d",
        "postgresql://u:secret@h/d?nonsense=1", "postgresql://u:%zz@h/d", "host=h password=secret",
    ])
    func unreadableURLIsRefused(url: String) throws {
        let error = try #require(throws: PostgresError.self) { try PostgresPool(url: url) }
        #expect(error.kind == .invalidURL)
        for part in ["secr", "sec/", "ret", "et@"] { #expect(!"\(error)".contains(part)) }
    }

    @Test func passwordIsNotTold() async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let url = "postgresql://u:opensesame@opensesame.invalid:1/d"
        let pool = try PostgresPool(url: url, logger: logger)
        let error = try await failure { _ = try await pool.query("SELECT 1") }
        #expect(error?.kind == .unreachable)
        #expect(error.map { !"\($0)".contains("opensesame") } == true)
        await pool.close()
    }

    @Test func transactionIsUndoneWhole() async throws {
        try await TestServer.withPool { pool in
            try await TestServer.withTable("id BIGINT", in: pool) { table in
                let error = try await failure {
                    try await pool.transaction { transaction throws(PostgresError) in
                        try transaction.runScript("INSERT INTO \(table) VALUES (1); INSERT INTO \(table) VALUES (2)")
                        _ = try transaction.query("SELECT 1/0")
                    }
                }
                #expect(error?.sqlState == "22012")
                #expect(try await pool.query("SELECT * FROM \(table)").isEmpty)
                let count = try await pool.transaction { transaction throws(PostgresError) in
                    try transaction.runScript("INSERT INTO \(table) VALUES (1); INSERT INTO \(table) VALUES (2)")
                    return try transaction.query("SELECT * FROM \(table)").count
                }
                #expect(count == 2)
                #expect(try await pool.query("SELECT * FROM \(table)").count == 2)
            }
        }
    }
}
