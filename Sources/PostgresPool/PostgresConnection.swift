// One connection to the server. It lives on one thread and is not known anywhere else.

import CLibpq
import Foundation
import Glibc

/// What a call asks of the server.
struct PostgresStatement: Sendable {
    let sql: String
    let parameters: EncodedParameters
    /// For how long it may run, each time that it is tried.
    let timeout: Duration
    /// Whether running it twice does no harm.
    let isRepeatable: Bool
}

/// A connection of libpq, used without ever blocking for longer than a deadline.
final class PostgresConnection {
    private let handle: OpaquePointer
    private let preparesStatements: Bool
    private var prepared = PreparedStatements()
    /// Whether the last statement may have reached the server.
    private(set) var hasSent = false
    /// Cleared when no other statement may be sent: its answers would be mistaken for another's, or there is no server.
    private(set) var isIntact = true

    init(to target: ConnectionTarget, preparesStatements: Bool) throws(PostgresError) {
        handle = try target.connect()
        self.preparesStatements = preparesStatements
        // libpq would write notices to standard error. It takes care itself that no signal comes of a broken pipe.
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        if PQsetnonblocking(handle, 1) != 0 { isIntact = false }
    }

    deinit {
        PQfinish(handle)
    }

    /// Whether the server has not hung up, as far as anybody can tell without asking it.
    func isAlive() -> Bool {
        guard isIntact else { return false }
        // A server that hangs up says why first. Whatever else comes while nobody asks is a notice.
        for _ in 0..<8 {
            guard wait(for: POLLIN, until: .now) else { break }
            guard PQconsumeInput(handle) == 1 else {
                isIntact = false
                break
            }
        }
        return isIntact && PQstatus(handle) == CONNECTION_OK
    }

    /// Runs one statement. When this returns, it is committed, unless it runs in a transaction.
    func run(_ statement: PostgresStatement) throws(PostgresError) -> [PostgresRow] {
        hasSent = false
        let deadline = ContinuousClock.now + statement.timeout
        guard preparesStatements else { return try send(statement, prepared: nil, until: deadline) }
        let name = try prepare(statement, until: deadline)
        do {
            return try send(statement, prepared: name, until: deadline)
        } catch  where error.tellsPreparedStatementIsGone {
            // A pooler gave this connection another server, or the tables were changed. Nothing was run.
            hasSent = false
            try forgetPrepared(until: deadline)
            return try send(statement, prepared: try prepare(statement, until: deadline), until: deadline)
        }
    }

    /// Runs statements that are separated by semicolons.
    func runScript(_ sql: String, timeout: Duration) throws(PostgresError) {
        hasSent = true
        guard PQsendQuery(handle, sql) == 1 else { throw lost() }
        _ = try answer(until: .now + timeout)
    }

    private func prepare(_ statement: PostgresStatement, until deadline: ContinuousClock.Instant) throws(PostgresError)
        -> String
    {
        let types = statement.parameters.types
        let (name, isNew) = prepared.name(of: statement.sql, types: types)
        guard isNew else { return name }
        if prepared.areTooMany { try forgetPrepared(until: deadline) }
        guard PQsendPrepare(handle, name, statement.sql, CInt(types.count), types) == 1 else { throw lost() }
        do {
            _ = try answer(until: deadline)
        } catch  where error.sqlState == "42P05" {
            // There is one of this name, and so of this text, from another client that was given the same server.
        }
        prepared.remember(name, of: statement.sql, types: types)
        return name
    }

    private func forgetPrepared(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        guard PQsendQuery(handle, "DEALLOCATE ALL") == 1 else { throw lost() }
        _ = try answer(until: deadline)
        prepared = PreparedStatements()
    }

    private func send(
        _ statement: PostgresStatement, prepared name: String?, until deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> [PostgresRow] {
        let parameters = statement.parameters
        let count = CInt(parameters.ranges.count)
        let lengths = parameters.ranges.map { CInt(clamping: $0?.count ?? 0) }
        let formats = [CInt](repeating: 1, count: parameters.ranges.count)
        hasSent = true
        let isSent = parameters.bytes.withUnsafeBytes { bytes in
            let values = parameters.ranges.map { range in
                range.flatMap { bytes.baseAddress?.advanced(by: $0.lowerBound).assumingMemoryBound(to: CChar.self) }
            }
            return if let name {
                PQsendQueryPrepared(handle, name, count, values, lengths, formats, 1)
            } else {
                PQsendQueryParams(
                    handle, statement.sql, count, parameters.types, values, lengths, formats, 1
                )
            }
        }
        guard isSent == 1 else { throw lost() }
        return try answer(until: deadline)
    }
}

// MARK: Answers

extension PostgresConnection {
    /// Waits for the end of the answer, which comes after the commit. The rows of a statement alone would not tell of
    /// it.
    private func answer(until deadline: ContinuousClock.Instant) throws(PostgresError) -> [PostgresRow] {
        try flush(until: deadline)
        var rows: [PostgresRow] = []
        var failure: PostgresError?
        while let result = try nextResult(until: deadline) {
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK: rows = Self.rows(of: result)
            case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: break
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                isIntact = false
                throw PostgresError(.rejected, "COPY is not for this.")
            default: failure = failure ?? error(of: result)
            }
        }
        guard PQstatus(handle) == CONNECTION_OK else {
            throw lost(saying: failure)
        }
        guard let failure else { return rows }
        if failure.kind == .connectionLost || failure.sqlState == "25006" { isIntact = false }
        throw failure
    }

    private func flush(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        while true {
            switch PQflush(handle) {
            case 0: return
            case 1:
                // A server that has much to say does not read before it is heard.
                guard wait(for: POLLIN | POLLOUT, until: deadline) else { throw timedOut() }
                guard PQconsumeInput(handle) == 1 else { throw lost() }
            default: throw lost()
            }
        }
    }

    private func nextResult(until deadline: ContinuousClock.Instant) throws(PostgresError) -> OpaquePointer? {
        while PQisBusy(handle) == 1 {
            guard wait(for: POLLIN, until: deadline) else { throw timedOut() }
            // What the server said before it hung up is read first.
            if PQconsumeInput(handle) != 1 { break }
        }
        return PQgetResult(handle)
    }

    /// - Returns: `false` when the deadline came first.
    private func wait(for events: CInt, until deadline: ContinuousClock.Instant) -> Bool {
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
        while true {
            let left = max(.zero, deadline - .now) / .milliseconds(1)
            let count = poll(&descriptor, 1, CInt(clamping: Int(left.rounded(.up))))
            if count != 0, !(count < 0 && errno == EINTR) { return true }
            if count == 0, deadline <= .now { return false }
        }
    }

    /// Gives the statement up: asks the server to end it, and this connection ends.
    private func timedOut() -> PostgresError {
        isIntact = false
        if let cancel = PQgetCancel(handle) {
            // On a thread of its own: it connects to the server, and waits as long as that takes.
            let address = UInt(bitPattern: cancel)
            Thread.detachNewThread {
                let cancel = OpaquePointer(bitPattern: address)
                var message = [CChar](repeating: 0, count: 256)
                _ = PQcancel(cancel, &message, CInt(message.count))
                PQfreeCancel(cancel)
            }
        }
        return PostgresError(.timeout, "The server did not answer in time.")
    }

    private func lost(saying failure: PostgresError? = nil) -> PostgresError {
        isIntact = false
        let message = failure?.message ?? ConnectionTarget.text(PQerrorMessage(handle))
        return PostgresError(
            .connectionLost, message ?? "The connection to the server was lost.", sqlState: failure?.sqlState,
            detail: failure?.detail
        )
    }

    private func error(of result: OpaquePointer) -> PostgresError {
        func field(_ letter: Unicode.Scalar) -> String? {
            ConnectionTarget.text(PQresultErrorField(result, CInt(letter.value)))
        }
        guard let state = field("C"), let message = field("M") else {
            return PostgresError(
                .connectionLost, ConnectionTarget.text(PQresultErrorMessage(result)) ?? "The connection was lost."
            )
        }
        // "cached plan must not change result type" has a state that many errors share.
        if state == "0A000", field("R") == "RevalidateCachedQuery" {
            return PostgresError(sqlState: PostgresError.unknownPreparedStatement, message: message, detail: nil)
        }
        return PostgresError(sqlState: state, message: message, detail: field("D"))
    }

    private static func rows(of result: OpaquePointer) -> [PostgresRow] {
        let columns = 0..<PQnfields(result)
        let types = columns.map { PQftype(result, $0) }
        return (0..<PQntuples(result)).map { row in
            let cells = columns.map { column -> [UInt8]? in
                guard PQgetisnull(result, row, column) == 0 else { return nil }
                let start = UnsafeRawPointer(PQgetvalue(result, row, column))
                return Array(UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(result, row, column))))
            }
            return PostgresRow(types: types, cells: cells)
        }
    }
}

extension PostgresError {
    static let unknownPreparedStatement = "26000"

    var tellsPreparedStatementIsGone: Bool { sqlState == Self.unknownPreparedStatement }
}
