// A thread's connection, and the fate of a call on it.

import BlobCore
import Foundation

/// Makes connections, when that makes sense.
struct ConnectionOpener: Sendable {
    let target: ConnectionTarget
    let preparesStatements: Bool
    let availability: Availability

    func open() throws(PostgresError) -> PostgresConnection {
        try availability.connect { () throws(PostgresError) in
            try PostgresConnection(to: target, preparesStatements: preparesStatements)
        }
    }
}

/// Runs statements on a connection that is made when it is needed and replaced when it breaks. It stays on its thread.
final class ConnectionWorker {
    private static let mostConflicts = 5
    private static let conflictBackoff = Backoff(first: .milliseconds(20), longest: .milliseconds(320))

    private let opener: ConnectionOpener
    private(set) var connection: PostgresConnection?
    /// Whether the call that runs had a connection at any time.
    private(set) var hasConnected = false

    init(opener: ConnectionOpener) {
        self.opener = opener
    }

    func begin() {
        hasConnected = false
    }

    func disconnect() {
        connection = nil
    }

    func run(_ statement: PostgresStatement) throws(PostgresError) -> [PostgresRow] {
        var (conflicts, losses) = (0, 0)
        while true {
            let connection = try connected()
            do {
                return try connection.run(statement)
            } catch {
                if !connection.isIntact { self.connection = nil }
                switch error.kind {
                case .conflict where conflicts < Self.mostConflicts:
                    conflicts += 1
                    // The other transaction is given time to end.
                    Thread.sleep(forTimeInterval: Self.conflictBackoff.pause(afterFailures: conflicts) / .seconds(1))
                case .connectionLost where losses < 2 && (statement.isRepeatable || !connection.hasSent):
                    losses += 1
                case .unreachable:
                    // It answered that it does not write. Another server may, by the same name, soon.
                    opener.availability.failed(error)
                    throw error
                default: throw error
                }
            }
        }
    }

    func transaction<Value>(
        _ body: (PostgresConnection) throws(PostgresError) -> Value
    ) throws(PostgresError) -> Value {
        let connection = try connected()
        do {
            try connection.runScript("BEGIN", timeout: .seconds(10))
            let value = try body(connection)
            try connection.runScript("COMMIT", timeout: .seconds(10))
            return value
        } catch {
            // The server undoes changes that were not committed.
            self.connection = nil
            throw error
        }
    }

    private func connected() throws(PostgresError) -> PostgresConnection {
        if let connection, connection.isAlive() {
            hasConnected = true
            return connection
        }
        connection = nil
        let connection = try opener.open()
        hasConnected = true
        self.connection = connection
        return connection
    }
}
