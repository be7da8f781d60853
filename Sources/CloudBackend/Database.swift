// The way of every statement of this backend: to the pool, and its errors back in the words of a store.

import BlobCore
public import BlobStorage
import Foundation
import Logging
public import PostgresPool

/// A pool of connections whose errors are classified, and a clock for tests.
struct Database: Sendable {
    let pool: PostgresPool
    /// The clock that tests turn; `nil` for the database's own, which all nodes share.
    let clock: (any WallClock)?
    let errors: DatabaseErrors

    init(pool: PostgresPool, clock: (any WallClock)?, logger: Logger) {
        self.pool = pool
        self.clock = clock
        errors = DatabaseErrors(logger: logger)
    }

    /// The time, for a function that takes the database's own when it is told none.
    var now: PostgresValue { .integer(clock.map { Timestamp($0.now).milliseconds }) }

    /// Runs one statement and decodes its rows.
    ///
    /// - Parameter isRepeatable: whether running it twice does no harm.
    func rows<Value>(
        _ sql: String, _ parameters: [PostgresValue], isRepeatable: Bool = true, timeout: Duration? = nil,
        as decode: (PostgresRow) throws(PostgresError) -> Value
    ) async throws(BlobError) -> [Value] {
        do {
            let rows = try await pool.query(sql, parameters, isRepeatable: isRepeatable, timeout: timeout)
            var values: [Value] = []
            values.reserveCapacity(rows.count)
            for row in rows { values.append(try decode(row)) }
            return values
        } catch {
            throw errors.classified(error)
        }
    }

    func first<Value>(
        _ sql: String, _ parameters: [PostgresValue], isRepeatable: Bool = true,
        as decode: (PostgresRow) throws(PostgresError) -> Value
    ) async throws(BlobError) -> Value? {
        try await rows(sql, parameters, isRepeatable: isRepeatable, as: decode).first
    }

    /// The one row of a function's result.
    func only<Value>(
        _ sql: String, _ parameters: [PostgresValue], isRepeatable: Bool,
        as decode: (PostgresRow) throws(PostgresError) -> Value
    ) async throws(BlobError) -> Value {
        guard let value = try await first(sql, parameters, isRepeatable: isRepeatable, as: decode) else {
            throw errors.classified(.damagedRow(of: "a function's result"))
        }
        return value
    }

    func run(_ sql: String, _ parameters: [PostgresValue], isRepeatable: Bool) async throws(BlobError) {
        _ = try await rows(sql, parameters, isRepeatable: isRepeatable) { _ in }
    }
}

extension PostgresValue {
    static func digest(_ digest: BlobDigest) -> PostgresValue { .bytes(digest.bytes) }
    static func time(_ date: Date?) -> PostgresValue { .integer(date.map { Timestamp($0).milliseconds }) }
    /// A limit of rows; none is not one.
    static func limit(_ count: Int) -> PostgresValue { .integer(Int64(max(0, count))) }

    /// A length of time that can be taken from any time of day without an overflow.
    static func milliseconds(_ duration: Duration) -> PostgresValue {
        .integer(min(max(duration.milliseconds, -(1 << 60)), 1 << 60))
    }
}

extension PostgresRow: StoredRow {
    public typealias ReadingError = PostgresError

    public static func damaged(_ table: String) -> PostgresError { .damagedRow(of: table) }
}
