// The first token, so that a new server can be used at once.

import BlobCore
import BlobStorage
import Foundation
import Program
import SystemPackage

/// The token named `admin`, which has all scopes and whose secret lies in a file that only the server's user reads.
enum AdminToken {
    static let name = "admin"
    static let fileName = "admin-token"

    static func path(in directory: String) -> String { FilePath(directory).appending(fileName).string }

    /// Makes sure that a server that nobody can talk to yet gets its first token.
    ///
    /// The file comes first, then the row: a crash between the two leaves a file that the next start adopts. A file
    /// whose token was revoked is never adopted, because revoking removes the file before the row.
    ///
    /// - Parameter auditLog: where the token's creation is recorded; `nil` for nowhere.
    /// - Returns: the path of the file where it holds the token, at every start: nobody may have read what an earlier
    ///   one told, or it failed before it could tell. `nil` where there is no such file.
    static func prepare(
        in directory: String, catalog: any Catalog, clock: any WallClock, auditLog: (any AuditLog)? = nil
    ) async throws -> String? {
        let tokens = try await catalog.tokens()
        let path = path(in: directory)
        guard !tokens.contains(where: { $0.name == name }) else {
            // Another file there, or one that cannot be read, is nobody's way in, and no reason not to serve.
            guard let kept = try? readSecret(at: path) else { return nil }
            return try await catalog.token(secretDigest: kept.digest)?.name == name ? path : nil
        }
        let secret: TokenSecret
        if let kept = try readSecret(at: path) {
            secret = kept
        } else {
            guard tokens.isEmpty else { return nil }
            secret = TokenSecret()
            do {
                try replaceFile(
                    at: FilePath(path), with: Array((secret.text + "\n").utf8), permissions: .ownerReadWrite)
            } catch {
                throw OperatorError("cannot write the first token to \(path): \(error)")
            }
        }
        let token = AccessToken(name: name, scopes: Set(Scope.allCases), created: clock.now, expires: nil)
        try await catalog.create(token, secret, recordedIn: auditLog)
        return path
    }

    /// Removes the file, so that no later start adopts it. Without effect where there is none.
    static func removeFile(in directory: String) throws {
        do {
            try removeFileDurably(at: FilePath(path(in: directory)))
        } catch Errno.noSuchFileOrDirectory {
            return
        } catch {
            throw OperatorError("cannot remove \(path(in: directory)): \(error)")
        }
    }

    private static func readSecret(at path: String) throws -> TokenSecret? {
        let bytes: [UInt8]
        do {
            guard let held = try readFile(at: FilePath(path), limit: 4096, protection: .readByGroup) else { return nil }
            bytes = held
        } catch {
            throw OperatorError("cannot read \(path): \(error)")
        }
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let secret = TokenSecret(parsing: text) else {
            throw OperatorError("\(path) holds no token: remove it, and the next start makes a new one")
        }
        return secret
    }
}
