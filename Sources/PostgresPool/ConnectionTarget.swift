// Where to connect to, and how.

import CLibpq
import Glibc

/// A URL that libpq can read, and the parameters that are added to it.
struct ConnectionTarget: Sendable {
    private let url: String
    private let keywords: [String]
    private let values: [String]
    private let password: String?

    /// - Throws: ``PostgresError/Kind/invalidURL``. libpq's own words may hold a part of a password that was not
    ///   escaped; they are not told.
    init(url: String, connectTimeout: Duration) throws(PostgresError) {
        guard url.hasPrefix("postgresql://") || url.hasPrefix("postgres://"), let options = PQconninfoParse(url, nil)
        else { throw Self.unreadable }
        defer { PQconninfoFree(options) }
        var parsed: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { parsed[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        let hasPorts = parsed["port"]?.utf8.allSatisfy { "0123456789,".utf8.contains($0) } ?? true
        guard hasPorts, !(parsed["host"]?.contains("@") ?? false) else { throw Self.unreadable }
        self.url = url
        password = parsed["password"]
        // What comes before the URL holds where the URL says nothing; what comes after it holds always.
        let (seconds, rest) = connectTimeout.components
        let settings = [
            ("fallback_application_name", "blobd"),
            ("connect_timeout", "\(max(2, rest > 0 ? seconds + 1 : seconds))"),
            // Milliseconds until the kernel gives up a peer that does not acknowledge the bytes sent.
            ("tcp_user_timeout", "10000"),
            ("dbname", url),
            ("client_encoding", "UTF8"),
        ]
        keywords = settings.map(\.0)
        values = settings.map(\.1)
    }

    private static let unreadable = PostgresError(
        .invalidURL,
        """
        The database's URL cannot be read. It looks like postgresql://user:password@host:5432/database; special \
        characters in the password have to be percent-encoded.
        """
    )

    /// Connects. Blocks for the connect timeout, for each address of the server, at most.
    func connect() throws(PostgresError) -> OpaquePointer {
        let handle = Self.withCStrings(keywords) { keywords in
            Self.withCStrings(values) { values in PQconnectdbParams(keywords, values, 1) }
        }
        guard let handle else { throw PostgresError(.unreachable, "There is not enough memory for a connection.") }
        guard PQstatus(handle) == CONNECTION_OK else {
            let message = Self.text(PQerrorMessage(handle)) ?? "The server cannot be reached."
            PQfinish(handle)
            throw PostgresError(.unreachable, withoutPassword(message))
        }
        return handle
    }

    private func withoutPassword(_ message: String) -> String {
        guard let password, !password.isEmpty else { return message }
        return message.split(separator: password, omittingEmptySubsequences: false).joined(separator: "…")
    }

    static func text(_ message: UnsafePointer<CChar>?) -> String? {
        guard let message else { return nil }
        let text = String(cString: message)
        let end = text.lastIndex { !$0.isWhitespace }.map(text.index(after:)) ?? text.startIndex
        return end == text.startIndex ? nil : String(text[..<end])
    }

    /// Passes strings as C wants lists of them: with nothing at the end.
    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return (copies.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { body($0.baseAddress) }
    }
}
