// What can go wrong with a statement, by what a caller can do about it.

/// Why a call failed.
///
/// No message holds the password of the URL.
public struct PostgresError: Error, Equatable, Sendable {
    public enum Kind: Sendable, CaseIterable {
        /// The URL cannot be read.
        case invalidURL
        /// There is no connection, and the statement was not run: the server refuses, is away, or does not write now.
        case unreachable
        /// The connection ended after the statement was sent: it may have been run, or not.
        case connectionLost
        /// The statement took too long. The server was asked to end it; it may have been run, or not.
        case timeout
        /// Too many calls wait already, or the call waited too long for a connection. The statement was not run.
        case busy
        /// The pool was closed. The statement was not run.
        case closed
        /// The server has no room on its disk.
        case diskFull
        /// Other transactions were in the way, several times or for too long. Nothing was changed.
        case conflict
        /// The server refused the statement for another reason, which ``PostgresError/sqlState`` tells.
        case rejected
        /// A value is of another kind than was asked for. The statement's changes stand.
        case unexpectedValue
    }

    public let kind: Kind
    /// The server's five characters; `nil` when the error is not the server's.
    public let sqlState: String?
    public let message: String
    public let detail: String?

    public init(_ kind: Kind, _ message: String, sqlState: String? = nil, detail: String? = nil) {
        self.kind = kind
        self.message = message
        self.sqlState = sqlState
        self.detail = detail
    }
}

extension PostgresError {
    static let closed = PostgresError(.closed, "The pool of connections was closed.")

    /// An error that the server answered with.
    init(sqlState: String, message: String, detail: String?) {
        self.init(Self.kind(of: sqlState), message, sqlState: sqlState, detail: detail)
    }

    private static func kind(of sqlState: String) -> Kind {
        switch sqlState {
        case "53100": .diskFull
        case "40001", "40P01", "55P03": .conflict
        // Nothing was changed: this is a server that had to give up writing, or never wrote.
        case "25006": .unreachable
        // The server is stopping or has crashed, or a proxy lost it.
        case "57P01", "57P02", "57P03": .connectionLost
        case _ where sqlState.hasPrefix("08"): .connectionLost
        default: .rejected
        }
    }
}

extension PostgresError: CustomStringConvertible {
    public var description: String {
        let state = sqlState.map { " [\($0)]" } ?? ""
        let detail = detail.map { " (\($0))" } ?? ""
        return "\(kind)\(state): \(message)\(detail)"
    }
}
