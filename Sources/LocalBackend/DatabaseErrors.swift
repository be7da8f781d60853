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

/// Classifies errors, and logs those that an operator should know of.
struct DatabaseErrors: Sendable {
    let logger: Logger

    func classified(_ error: any Error) -> BlobError {
        if let error = error as? BlobError { return error }
        if let failure = error as? SystemFailure { return classified(failure) }
        guard let error = error as? DatabaseError else {
            logger.critical("A row of the catalog cannot be read", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.catalogDamaged))
        }
        switch error.resultCode {
        case .SQLITE_FULL:
            logger.error("The disk is full", metadata: ["error": "\(error)"])
            return BlobError(.insufficientStorage(.catalog))
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            logger.warning("The catalog was locked for too long", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.catalogBusy))
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            logger.critical("The catalog is damaged", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.catalogDamaged))
        default:
            logger.error("The catalog failed", metadata: ["error": "\(error)"])
            return BlobError(.unavailable(.catalogUnreachable))
        }
    }

    private func classified(_ failure: SystemFailure) -> BlobError {
        guard !failure.isForWantOfRoom else {
            logger.error("The disk is full", metadata: ["error": "\(failure.error)", "cause": "\(failure.cause)"])
            return BlobError(.insufficientStorage(.catalog))
        }
        let (error, code) = (failure.error, failure.cause.rawValue)
        logger.error(
            "The catalog failed",
            metadata: [
                "error": "\(error)", "cause": "\(OpenFileLimit.advice(for: code) ?? failure.cause.description)",
                "errno": .stringConvertible(code),
            ]
        )
        return BlobError(.unavailable(.catalogUnreachable))
    }

    /// The same for opening, where the operator hears what is wrong with the file.
    func opening(_ error: any Error) -> any Error {
        if error is OperatorError { return error }
        guard let database = error as? DatabaseError, database.resultCode == .SQLITE_NOTADB else {
            return classified(error)
        }
        logger.critical("The catalog is not an SQLite database", metadata: ["error": "\(error)"])
        return OperatorError(
            "The catalog's file is not an SQLite database, or its beginning is damaged. Restore it from a backup."
        )
    }

    /// Whether the disk, or the user's share of it, is full.
    static func isForWantOfRoom(_ error: any Error) -> Bool {
        if let failure = error as? SystemFailure { return failure.isForWantOfRoom }
        return (error as? DatabaseError)?.resultCode == .SQLITE_FULL
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
