// The table `tokens`.

public import BlobCore
public import BlobStorage
public import struct Foundation.Date
import PostgresPool

enum TokenRows {
    static let insert = """
        INSERT INTO tokens (secret_digest, name, scopes, created, expires, subject, last_used)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT DO NOTHING RETURNING name
        """
    static let select = "SELECT \(AccessToken.columns) FROM tokens WHERE secret_digest = $1"
    static let selectAll = "SELECT \(AccessToken.columns) FROM tokens ORDER BY name"
    static let use = "UPDATE tokens SET last_used = $2 WHERE secret_digest = $1 AND coalesce(last_used, -1) < $2"
    static let delete = "DELETE FROM tokens WHERE name = $1 RETURNING name"
}

extension CloudCatalog {
    public func createToken(_ token: AccessToken, secretDigest: BlobDigest) async throws(BlobError) {
        let name = try await database.first(
            TokenRows.insert,
            [
                .digest(secretDigest), .text(token.name), .text(token.scopes.stored), .time(token.created),
                .time(token.expires), .text(token.subject.name), .time(token.lastUsed),
            ],
            isRepeatable: false
        ) { row throws(PostgresError) in try row.text(0) }
        guard name != nil else { throw BlobError(.tokenTaken) }
    }

    public func token(secretDigest: BlobDigest) async throws(BlobError) -> AccessToken? {
        try await database.first(TokenRows.select, [.digest(secretDigest)], as: AccessToken.init(row:))
    }

    public func recordUse(ofToken secretDigest: BlobDigest, in hour: Date) async throws(BlobError) {
        try await database.run(TokenRows.use, [.digest(secretDigest), .time(hour)], isRepeatable: true)
    }

    public func tokens() async throws(BlobError) -> [AccessToken] {
        try await database.rows(TokenRows.selectAll, [], as: AccessToken.init(row:))
    }

    public func revokeToken(named name: String) async throws(BlobError) -> Bool {
        try await database.first(TokenRows.delete, [.text(name)], isRepeatable: false) {
            row throws(PostgresError) in try row.text(0)
        } != nil
    }
}
