// The names of the statements that a connection has prepared.

/// A bounded list of prepared statements.
struct PreparedStatements {
    private struct Key: Hashable {
        let sql: String
        let types: [UInt32]
    }

    /// A program has some dozens of statements. One that makes them up as it goes must not fill the server.
    private static let largestCount = 256

    private var names: [Key: String] = [:]

    var areTooMany: Bool { names.count >= Self.largestCount }

    /// The name of a statement, and whether it has to be prepared under it.
    func name(of sql: String, types: [UInt32]) -> (name: String, isNew: Bool) {
        let key = Key(sql: sql, types: types)
        if let name = names[key] { return (name, false) }
        return (Self.name(of: key), true)
    }

    mutating func remember(_ name: String, of sql: String, types: [UInt32]) {
        names[Key(sql: sql, types: types)] = name
    }

    /// The same on every connection and node: behind a pooler, a client that is given another's connection to the
    /// server finds that client's statements.
    private static func name(of key: Key) -> String {
        // FNV-1a.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key.sql.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for type in key.types { hash = (hash ^ UInt64(type)) &* 0x100_0000_01b3 }
        return "s" + String(hash, radix: 36)
    }
}
