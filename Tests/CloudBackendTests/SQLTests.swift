// The functions of the database, checked as a compiler would: PostgreSQL itself looks at each when it is first called.

import BlobStorage
import PostgresPool
import Testing

@testable import CloudBackend

@Suite(.timeLimit(.minutes(10))) struct SQLTests {
    /// Of each function, and of each trigger on its table.
    private static let check = """
        SELECT proname || ': ' || told FROM pg_proc
            JOIN pg_language AS language ON language.oid = prolang AND lanname = 'plpgsql'
            LEFT JOIN pg_trigger ON tgfoid = pg_proc.oid,
            LATERAL plpgsql_check_function(
                pg_proc.oid::regprocedure, coalesce(tgrelid, 0)::regclass, oldtable => tgoldtable, newtable => tgnewtable
            ) AS told
            WHERE pronamespace = current_schema()::regnamespace
        """

    private static func findings(in pool: PostgresPool, after script: String = "") async throws -> [String] {
        try await pool.transaction { transaction throws(PostgresError) in
            try transaction.runScript("CREATE EXTENSION IF NOT EXISTS plpgsql_check; " + script)
            let rows = try transaction.query(check)
            // It is for this transaction alone.
            try transaction.runScript("DROP EXTENSION plpgsql_check")
            return try rows.map { row throws(PostgresError) in try row.text(0) }
        }
    }

    @Test func everyFunctionCanRun() async throws {
        try await TestSchema.with { schema in
            try await schema.withPool(connections: 1) { pool in
                let count = try await pool.query(
                    "SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace")
                #expect(try count.first?.integer(0) ?? 0 > 30)
                let findings = try await Self.findings(in: pool)
                #expect(findings == [])
                // A wrong function is found.
                let wrong = """
                    CREATE FUNCTION wrong(p_id BIGINT) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
                        UPDATE contents SET sate = 1 WHERE id = p_id;
                    END $$;
                    """
                let found = try await Self.findings(in: pool, after: wrong)
                #expect(found.contains { $0.hasPrefix("wrong: ") && $0.contains("sate") }, "\(found)")
            }
        }
    }

    /// Functions that an older node calls with fewer arguments are still there.
    @Test func olderNodesFindWhatTheyCall() async throws {
        try await TestSchema.with { schema in
            try await schema.withPool(connections: 1) { pool in
                for (name, counts) in [
                    ("create_upload", [10, 11, 12]), ("advance_upload", [8, 10]), ("record_segments", [5, 6]),
                    ("publish_content", [7, 8]),
                    ("replace_pieces", [2, 3]), ("complete_upload", [9, 11]), ("import_blob", [4]),
                ] as [(String, [Int64])] {
                    let found = try await pool.query(
                        """
                        SELECT pronargs FROM pg_proc
                            WHERE pronamespace = current_schema()::regnamespace AND proname = $1 ORDER BY pronargs
                        """, [.text(name)])
                    #expect(try found.map { try $0.integer(0) } == counts, "\(name)")
                }
            }
        }
    }
}
