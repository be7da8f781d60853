// What the database's errors mean to a caller, in one place.

import BlobCore
import BlobStorage
import Logging
import PostgresPool

extension PostgresError {
    /// A row that no version of this program would have written.
    static func damagedRow(of table: String) -> PostgresError {
        PostgresError(.unexpectedValue, "A row of \(table) is not one that this program writes.")
    }
}

/// Classifies errors, and logs those that an operator should know of. The pool itself tells of a server that is away.
struct DatabaseErrors: Sendable {
    private static let unreachable = BlobError(
        .unavailable, "The database cannot be reached now; try again.", detail: .retryAfter(seconds: 5)
    )
    private static let busy = BlobError(
        .unavailable, "The database has too much to do now; try again.", detail: .retryAfter(seconds: 1)
    )
    private static let full = BlobError(
        .insufficientStorage,
        "The database has no room to record this. What was acknowledged is safe; try again later."
    )
    private static let damaged = BlobError(.unavailable, "The database is damaged. Restore it from a backup.")
    /// The bytes were taken away between their publication and its record.
    private static let contentGone = BlobError(
        .unavailable, "The bytes were removed while they were being published; try again.",
        detail: .retryAfter(seconds: 1)
    )

    /// The state that `adopt_content` raises.
    static let contentGoneState = "BD001"

    let logger: Logger

    func classified(_ error: PostgresError) -> BlobError {
        switch error.kind {
        case .unreachable: return Self.unreachable
        case .connectionLost, .timeout:
            logger.warning("What became of a call of the database is not known", metadata: ["error": "\(error)"])
            return Self.unreachable
        case .busy, .conflict:
            logger.warning("The database is too slow", metadata: ["error": "\(error)"])
            return Self.busy
        case .closed: return .stopping
        case .diskFull:
            logger.error("The database's disk is full", metadata: ["error": "\(error)"])
            return Self.full
        case .unexpectedValue:
            logger.critical("A row of the database cannot be read", metadata: ["error": "\(error)"])
            return Self.damaged
        case .rejected where error.sqlState == Self.contentGoneState: return Self.contentGone
        case .rejected, .invalidURL:
            logger.error("The database refused a statement", metadata: ["error": "\(error)"])
            return Self.unreachable
        }
    }
}
