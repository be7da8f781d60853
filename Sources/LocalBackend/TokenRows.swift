// The table `tokens`.

public import BlobCore
public import BlobStorage
public import struct Foundation.Date
import GRDB

enum TokenRows {
    static let insert = """
        INSERT INTO tokens (secret_digest, name, scopes, created, expires, subject, last_used)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING
        """
    static let select = "SELECT \(AccessToken.columns) FROM tokens WHERE secret_digest = ?"
    static let selectAll = "SELECT \(AccessToken.columns) FROM tokens ORDER BY name"
    static let selectWithSecrets = "SELECT \(AccessToken.columns), secret_digest FROM tokens ORDER BY name"
    static let use = "UPDATE tokens SET last_used = ? WHERE secret_digest = ? AND coalesce(last_used, -1) < ?"
    static let delete = "DELETE FROM tokens WHERE name = ?"
}

extension LocalCatalog {
    public func createToken(_ token: AccessToken, secretDigest: BlobDigest) async throws(BlobError) {
        try await write { db, _ in
            let isNew = try db.change(
                TokenRows.insert,
                [
                    secretDigest.data, token.name, token.scopes.stored, Timestamp(token.created),
                    token.expires.map(Timestamp.init), token.subject.name,
                    token.lastUsed.map(Timestamp.init),
                ]
            )
            guard isNew else { throw BlobError(.tokenTaken) }
        }
    }

    public func token(secretDigest: BlobDigest) async throws(BlobError) -> AccessToken? {
        try await read { db, _ in try db.first(TokenRows.select, [secretDigest.data], as: AccessToken.init(row:)) }
    }

    public func recordUse(ofToken secretDigest: BlobDigest, in hour: Date) async throws(BlobError) {
        let hour = Timestamp(hour)
        _ = try await write { db, _ in try db.change(TokenRows.use, [hour, secretDigest.data, hour]) }
    }

    public func tokens() async throws(BlobError) -> [AccessToken] {
        try await read { db, _ in try db.all(TokenRows.selectAll, as: AccessToken.init(row:)) }
    }

    public func revokeToken(named name: String) async throws(BlobError) -> Bool {
        try await write { db, _ in try db.change(TokenRows.delete, [name]) }
    }
}
