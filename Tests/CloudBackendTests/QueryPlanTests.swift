// Query plans: lookups and lists go by an index, however many rows there are.

import BlobCore
import BlobStorage
import PostgresPool
import Testing

@testable import CloudBackend

@Suite(.timeLimit(.minutes(10))) struct QueryPlanTests {
    private static let id = PostgresValue.integer(1)
    private static let digest = PostgresValue.bytes([UInt8](repeating: 7, count: 32))
    private static let uuid = PostgresValue.uuid(UploadID().uuid)

    private static let lookups: [(String, [PostgresValue])] = [
        (UploadRows.select, [uuid, id]), (UploadRows.firstOpen, [id, id]), (UploadRows.openAfter, [id, id, uuid]),
        (UploadRows.announce, [uuid, id]), (UploadRows.fail, [uuid, id]),
        (UploadRows.delete, [uuid, id, .text("ann")]),
        (FileRows.select, [id, id]), (FileRows.namesake, [digest, id]),
        (BlobRows.recordsAfter, [digest, id]), (BlobRows.suspected, [id]),
        (BlobRows.dying, [id, id, id]), (BlobRows.unknown, [.byteStrings([[7]])]),
        (TokenRows.select, [digest]), (TokenRows.use, [digest, .integer(3_600_000)]),
        (TokenRows.delete, [.text("name")]),
        (UsageRows.usage, [.text("ann")]),
    ]

    /// Enough rows that going through all of them is the worse way.
    private static func withRows(_ body: (PostgresPool) async throws -> Void) async throws {
        try await TestSchema.with { schema in
            try await schema.withPool(connections: 2) { pool in
                try await pool.transaction(timeout: .seconds(60)) { transaction throws(PostgresError) in
                    try transaction.runScript(
                        """
                        -- One transaction that counts as often would take its time.
                        ALTER TABLE blobs DISABLE TRIGGER USER;
                        ALTER TABLE files DISABLE TRIGGER USER;
                        INSERT INTO blobs SELECT sha256(n::text::bytea), n, CASE n % 50 WHEN 0 THEN n END,
                            CASE n % 70 WHEN 0 THEN 1 ELSE 0 END FROM generate_series(1, 20000) n;
                        INSERT INTO files SELECT n, sha256(n::text::bytea), 'owner ' || n % 4, 'name ' || n, n,
                            n % 2 = 0, n, CASE WHEN n % 2 = 0 THEN (1::BIGINT << 40) * 1000 + n END FROM generate_series(1, 20000) n
                            WHERE n % 50 <> 0;
                        INSERT INTO uploads (id, owner, temporary, expires, epoch, byte_offset, announced, digest_state,
                            state) SELECT gen_random_uuid(), 'owner ' || n % 4, false, n, 0, 0, 0, '', n % 3
                            FROM generate_series(1, 20000) n;
                        INSERT INTO tokens SELECT sha256(n::text::bytea), 'token ' || n, 'read', n
                            FROM generate_series(1, 5000) n;
                        ALTER TABLE blobs ENABLE TRIGGER USER;
                        ALTER TABLE files ENABLE TRIGGER USER;
                        ANALYZE uploads, blobs, files, tokens;
                        """
                    )
                }
                try await body(pool)
            }
        }
    }

    private static func plan(
        of sql: String, _ parameters: [PostgresValue], in pool: PostgresPool
    ) async throws -> String {
        try await pool.query("EXPLAIN " + sql, parameters).map { try $0.text(0) }.joined(separator: "\n")
    }

    @Test func lookupsGoByAnIndex() async throws {
        try await Self.withRows { pool in
            for (sql, parameters) in Self.lookups {
                let plan = try await Self.plan(of: sql, parameters, in: pool)
                #expect(plan.contains("Index"), "\(sql)\n\(plan)")
                for table in ["uploads", "files", "blobs", "tokens"] {
                    #expect(!plan.contains("Seq Scan on \(table)"), "\(sql)\n\(plan)")
                }
            }
        }
    }

    @Test func unsearchedListsGoByAnIndex() async throws {
        try await Self.withRows { pool in
            for order in FileQuery.Order.allCases {
                for isDescending in [false, true] {
                    for hasOwner in [false, true] {
                        let filter = FileLists.Filter(hasOwner: hasOwner)
                        let sql = FileLists.page(
                            filter, by: order, isDescending: isDescending, isContinued: false)
                        let plan = try await Self.plan(
                            of: sql, [.integer(nil), .integer(10), .integer(10), .text("owner 1"), .text(nil)], in: pool
                        )
                        let index =
                            "files\(hasOwner ? "_of_owner" : "")_by_\(order == .created ? "created" : order.rawValue)"
                        let scan = "Index Only Scan\(isDescending ? " Backward" : "") using \(index)"
                        #expect(plan.contains(scan), "\(plan)")
                        #expect(!plan.contains("Seq Scan on files"), "\(plan)")
                    }
                }
            }
        }
    }

    /// The files after a cursor are looked up in the index, those that are equal in the column included.
    @Test func continuedListsGoByAnIndex() async throws {
        try await Self.withRows { pool in
            for order in FileQuery.Order.allCases {
                for isDescending in [false, true] {
                    for hasOwner in [false, true] {
                        let filter = FileLists.Filter(hasOwner: hasOwner)
                        let sql = FileLists.page(filter, by: order, isDescending: isDescending, isContinued: true)
                        let place = order == .name ? PostgresValue.text("name 5") : .integer(5)
                        let plan = try await Self.plan(
                            of: sql,
                            [
                                .integer(nil), .integer(10), .integer(0), .text("owner 1"), .text(nil), place,
                                .integer(5),
                            ], in: pool
                        )
                        let column = order == .created ? "created" : order.rawValue
                        let index = "files\(hasOwner ? "_of_owner" : "")_by_\(column)"
                        let scan = "Index Only Scan\(isDescending ? " Backward" : "") using \(index)"
                        #expect(plan.contains(scan), "\(plan)")
                        let comparison = "ROW(\(column), id) \(isDescending ? "<" : ">") ROW("
                        let condition = plan.split(separator: "\n").first {
                            $0.contains("Index Cond: ") && $0.contains("ROW")
                        }
                        #expect(condition?.contains(comparison) == true, "\(plan)")
                        #expect(!plan.contains("Seq Scan on files"), "\(plan)")
                    }
                }
            }
        }
    }

    /// A connection keeps a plan for all owners when it seems no worse, which it does where most have few files.
    @Test func anOwnersListGoesByAnIndexHoweverOftenItIsAsked() async throws {
        try await Self.withRows { pool in
            let list = FileLists.page(
                FileLists.Filter(hasOwner: true), by: .size, isDescending: true, isContinued: false)
            let plan = try await pool.transaction { transaction throws(PostgresError) in
                try transaction.runScript(
                    """
                    UPDATE files SET owner = 'owner ' || id;
                    ANALYZE files;
                    PREPARE list (BIGINT, BIGINT, BIGINT, TEXT, TEXT) AS \(list);
                    """
                )
                var rows: [PostgresRow] = []
                for _ in 0..<8 {
                    rows = try transaction.query("EXPLAIN EXECUTE list (NULL, 10, 0, 'owner 1', NULL)")
                }
                return try rows.map { row throws(PostgresError) in try row.text(0) }.joined(separator: "\n")
            }
            #expect(plan.contains("using files_by_expiry on files"), "\(plan)")
            #expect(plan.contains("using files_of_owner_by_size on files"), "\(plan)")
        }
    }

    /// The statements inside the functions are not explained, but counted.
    @Test func changesGoByAnIndex() async throws {
        try await Self.withRows { pool in
            let id = UploadID()
            let state = RunningDigest().encoded
            let digest = BlobDigest(of: [])
            let calls: [(String, [PostgresValue])] = [
                (
                    UploadRows.create,
                    [
                        .uuid(id.uuid), .text("ann"), .text(nil), .flag(false), .integer(1 << 50), .integer(0),
                        .integer(0), .integer(0), .bytes(state), .integer(100), .text("a/b"),
                        .integer(1 << 30),
                    ]
                ),
                (UploadRows.claim, [.uuid(id.uuid), .integer(nil), .text("ann")]),
                (
                    UploadRows.advance,
                    [
                        .uuid(id.uuid), .integer(1), .integer(0), .integer(0), .bytes(state), .integer(1 << 50),
                        .flag(true), .integer(nil), .text("ann"), .integer(1 << 30),
                    ]
                ),
                (
                    UploadRows.complete,
                    [
                        .uuid(id.uuid), .integer(1), .integer(0), .integer(0), .bytes(state), .digest(digest),
                        .integer(1 << 50), .integer(nil), .integer(nil), .text("ann"), .integer(1 << 30),
                    ]
                ),
                (FileRows.destroy, [.integer(1), .text(nil), .integer(7)]),
                (FileRows.removeExpired, [.integer(10), .integer((1 << 40) * 1000 + 1000)]),
                (BlobRows.judge, [.digest(BlobDigest(of: "60".utf8)), .integer(nil), .integer(1)]),
                (BlobRows.delete, [.digest(BlobDigest(of: "50".utf8)), .integer(0), .integer(nil)]),
            ]
            let (before, after) = try await pool.transaction { transaction throws(PostgresError) in
                // Reads that the connection made just before may still be counted.
                let before = try transaction.query(Self.scans)
                for (sql, parameters) in calls { _ = try transaction.query(sql, parameters) }
                return (before, try transaction.query(Self.scans))
            }
            #expect(after.count == 4)
            for (before, after) in zip(before, after) {
                let table = try after.text(0)
                #expect(try before.integer(1) == after.integer(1), "\(table) was scanned")
            }
        }
    }

    /// How often each table was read from its beginning to its end.
    private static let scans = """
        SELECT relname::TEXT, seq_scan FROM pg_stat_xact_user_tables
            WHERE schemaname = current_schema() AND relname IN ('uploads', 'files', 'blobs', 'contents')
            ORDER BY relname
        """
}
