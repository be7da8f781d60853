// The database's time, kept between two looks at it.

public import BlobCore
public import BlobStorage
public import struct Foundation.Date
public import Logging
public import PostgresPool
import Synchronization

/// The clock that all nodes share: that of the database.
///
/// Between two looks it goes on by this machine's clock that cannot be set, so that nodes agree about expiries to
/// within what a query takes, whatever their own clocks say.
public final class DatabaseClock: WallClock {
    private struct Anchor {
        var time: Date
        var seen: ContinuousClock.Instant
    }

    private let database: Database
    private let anchor: Mutex<Anchor>

    /// - Throws: ``BlobError/Reason/unavailable(_:)`` when the database cannot be asked.
    public init(pool: PostgresPool, logger: Logger = Logger(label: "blobd.catalog")) async throws(BlobError) {
        database = Database(pool: pool, clock: nil, logger: logger)
        anchor = Mutex(try await Self.look(at: database))
    }

    public var now: Date {
        let anchor = anchor.withLock { $0 }
        return anchor.time.addingTimeInterval(anchor.seen.duration(to: .now) / .seconds(1))
    }

    /// Looks at the database's time again.
    public func synchronize() async throws(BlobError) {
        let seen = try await Self.look(at: database)
        anchor.withLock { $0 = seen }
    }

    private static func look(at database: Database) async throws(BlobError) -> Anchor {
        let start = ContinuousClock.now
        let time = try await database.only("SELECT now_ms()", [], isRepeatable: true) { row throws(PostgresError) in
            try row.time(0)
        }
        let end = ContinuousClock.now
        // It was told somewhere between asking and hearing.
        return Anchor(time: time, seen: start + (end - start) / 2)
    }
}
