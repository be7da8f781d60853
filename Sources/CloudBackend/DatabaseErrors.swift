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
    /// The state that `adopt_content` raises.
    static let contentGoneState = "BD001"
    /// The state that `end_adding` raises.
    static let quotaUsedUpState = "BD002"

    let logger: Logger

    func classified(_ error: PostgresError) -> BlobError {
        switch error.kind {
        case .unreachable: return BlobError(.unavailable(.databaseUnreachable))
        case .connectionLost, .timeout:
            logger.warning("What became of a call of the database is not known", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.databaseUnreachable))
        case .busy, .conflict:
            logger.warning("The database is too slow", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.databaseBusy))
        case .closed: return .stopping
        case .diskFull:
            logger.error("The database's disk is full", metadata: ["error": "\(error)"])
            return BlobError(.insufficientStorage(.database))
        case .unexpectedValue:
            logger.critical("A row of the database cannot be read", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.databaseDamaged))
        case .rejected where error.sqlState == Self.contentGoneState: return BlobError(.unavailable(.contentGone))
        case .rejected where error.sqlState == Self.quotaUsedUpState: return BlobError(.quotaUsedUp)
        case .rejected, .invalidURL:
            logger.error("The database refused a statement", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.databaseUnreachable))
        }
    }
}
