// What the database's errors mean to a caller, in one place.

import BlobCore
import BlobStorage
import GRDB
import Logging
import SystemPackage

/// A row that no version of this program would have written.
struct DamagedRow: Error {
    /// The table, or its fault.
    let name: String

    init(of name: String) {
        self.name = name
    }
}

/// Classifies errors, and logs those that an operator should know of. No message names a path.
struct DatabaseErrors: Sendable {
    static let unreachable = BlobError(
        .unavailable, "The catalog cannot be reached now; try again later.", detail: .retryAfter(seconds: 5)
    )
    private static let full = BlobError(
        .insufficientStorage, "The disk is too full to record this. What was acknowledged is safe; try again later."
    )
    private static let busy = BlobError(
        .unavailable, "Another process is using the catalog; try again.", detail: .retryAfter(seconds: 1)
    )
    private static let damaged = BlobError(
        .unavailable, "The catalog's database is damaged. Restore it from a backup."
    )

    let logger: Logger

    func classified(_ error: any Error) -> BlobError {
        if let error = error as? BlobError { return error }
        if let failure = error as? SystemFailure { return classified(failure) }
        guard let error = error as? DatabaseError else {
            logger.critical("A row of the catalog cannot be read", metadata: ["error": "\(error)"])
            return Self.damaged
        }
        switch error.resultCode {
        case .SQLITE_FULL:
            logger.error("The disk is full", metadata: ["error": "\(error)"])
            return Self.full
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            logger.warning("The catalog was locked for too long", metadata: ["error": "\(error)"])
            return Self.busy
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            logger.critical("The catalog is damaged", metadata: ["error": "\(error)"])
            return Self.damaged
        default:
            logger.error("The catalog failed", metadata: ["error": "\(error)"])
            return Self.unreachable
        }
    }

    private func classified(_ failure: SystemFailure) -> BlobError {
        let (error, code) = (failure.error, failure.cause.rawValue)
        logger.error(
            "The catalog failed",
            metadata: [
                "error": "\(error)", "cause": "\(OpenFileLimit.advice(for: code) ?? failure.cause.description)",
                "errno": .stringConvertible(code),
            ]
        )
        return Self.unreachable
    }

    /// The same for opening, where the reader of the message is the operator.
    func opening(_ error: any Error) -> BlobError {
        guard let database = error as? DatabaseError, database.resultCode == .SQLITE_NOTADB else {
            return classified(error)
        }
        logger.critical("The catalog is not an SQLite database", metadata: ["error": "\(error)"])
        return BlobError(
            .unavailable,
            "The catalog's file is not an SQLite database, or its beginning is damaged. Restore it from a backup."
        )
    }

    /// Whether a transaction that failed so may have left the connection and the disk in disagreement. Where there was
    /// no lock or no room, nothing was synced, and so nothing was lost.
    static func leavesConnectionInDoubt(_ error: any Error) -> Bool {
        switch (error as? DatabaseError)?.resultCode {
        case .SQLITE_BUSY?, .SQLITE_FULL?: false
        default: true
        }
    }
}
