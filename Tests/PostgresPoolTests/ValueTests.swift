// Values come back as they were sent, and a value that a row does not hold is an error and nothing worse.

import Foundation
import PostgresPool
import Testing

@Suite(.timeLimit(.minutes(10))) struct ValueTests {
    private static let numbers: [Int64?] = [nil, 0, 1, -1, .max, .min, 1 << 40]
    private static let texts: [String?] = [
        nil, "", " ", "text", "o'hara \"x\" \\ %_ $1 ; --", "line\nline\r\t\u{1}\u{7f}", "تقرير", "🧾e\u{301}\u{e9}",
        "\u{FEFF}\u{202E}\u{10FFFF}", "NULL", "{a,b}", String(repeating: "ä", count: 1 << 19),
    ]
    private static let byteStrings: [[UInt8]?] = [
        nil, [], [0], Array(0...255), Array("\\x00".utf8), [UInt8](repeating: 0xA5, count: 1 << 20),
    ]
    private static let uuid = UUID()

    @Test(arguments: [true, false])
    func valuesComeBack(prepared: Bool) async throws {
        var settings = PostgresPool.Settings()
        settings.usesPreparedStatements = prepared
        try await TestServer.withPool(settings: settings) { pool in
            let sql = "SELECT $1, $2, $3, $4, $5"
            for index in 0..<12 {
                let number = Self.numbers[index % Self.numbers.count]
                let text = Self.texts[index % Self.texts.count]
                let bytes = Self.byteStrings[index % Self.byteStrings.count]
                let flag = [nil, true, false][index % 3]
                let uuid = [nil, Self.uuid][index % 2]
                let rows = try await pool.query(
                    sql, [.integer(number), .text(text), .bytes(bytes), .flag(flag), .uuid(uuid)]
                )
                let row = try #require(rows.first)
                #expect(rows.count == 1)
                #expect(try row.optionalInteger(0) == number)
                #expect(try row.optionalText(1).map { Array($0.utf8) } == text.map { Array($0.utf8) })
                #expect(try row.optionalBytes(2) == bytes)
                #expect(try row.optionalFlag(3) == flag)
                #expect(try row.optionalUUID(4) == uuid)
            }
        }
    }

    @Test func arraysComeBack() async throws {
        let numbers = Self.numbers.compactMap(\.self)
        let texts = Self.texts.compactMap(\.self)
        let byteStrings = Self.byteStrings.compactMap(\.self)
        try await TestServer.withPool { pool in
            let integers = try await Self.elements(of: .integers(numbers), in: pool)
            #expect(try integers.map { try $0.integer(0) } == numbers)
            #expect(try await Self.elements(of: .texts(texts), in: pool).map { try $0.text(0) } == texts)
            let bytes = try await Self.elements(of: .byteStrings(byteStrings), in: pool)
            #expect(try bytes.map { try $0.bytes(0) } == byteStrings)
            for empty in [PostgresValue.integers([]), .texts([]), .byteStrings([])] {
                #expect(try await Self.elements(of: empty, in: pool).isEmpty)
                #expect(try await pool.query("SELECT cardinality($1)", [empty]).first?.integer(0) == 0)
            }
        }
    }

    private static func elements(of array: PostgresValue, in pool: PostgresPool) async throws -> [PostgresRow] {
        try await pool.query("SELECT value FROM unnest($1) WITH ORDINALITY AS a (value, n) ORDER BY n", [array])
    }

    @Test func smallerIntegersAreRead() async throws {
        try await TestServer.withPool { pool in
            let row = try #require(try await pool.query("SELECT (-7)::int2, (-70000)::int4, (-7)::int8").first)
            #expect(try [row.integer(0), row.integer(1), row.integer(2)] == [-7, -70000, -7])
        }
    }

    @Test func wrongReadsThrow() async throws {
        try await TestServer.withPool { pool in
            let row = try #require(try await pool.query("SELECT 'text', NULL::int8, 1.5::numeric, 7::int8").first)
            let reads: [() throws -> Void] = [
                { _ = try row.integer(0) }, { _ = try row.integer(1) }, { _ = try row.integer(2) },
                { _ = try row.bytes(0) }, { _ = try row.flag(3) }, { _ = try row.uuid(0) }, { _ = try row.text(1) },
                { _ = try row.integer(4) }, { _ = try row.integer(-1) }, { _ = try row.optionalText(99) },
            ]
            for read in reads {
                #expect(try #require(throws: PostgresError.self) { try read() }.kind == .unexpectedValue)
            }
        }
    }

    @Test func rowsKeepTheirOrder() async throws {
        try await TestServer.withPool { pool in
            let rows = try await pool.query("SELECT n FROM generate_series(1, 5000) AS s (n) ORDER BY n DESC")
            #expect(try rows.map { try $0.integer(0) } == Array((1...5000).reversed()))
            #expect(try await pool.query("SELECT 1 WHERE false").isEmpty)
        }
    }
}
