// Tokens: their text, the scopes and lives that may be asked for, and the first one.

import ArgumentParser
import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import Program
import SystemPackage
import Testing

@testable import blobd

struct TokenTests {
    @Test func secrets() throws {
        let secret = TokenSecret()
        #expect(secret.text.hasPrefix("blobd_"))
        #expect(secret.text.count == 6 + 43)
        #expect(
            secret.text.dropFirst(6).allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        )
        #expect(TokenSecret(parsing: secret.text) == secret)
        #expect(secret.digest == BlobDigest(of: secret.text.utf8))
        #expect(TokenSecret() != secret)
        #expect("\(secret)" == "blobd_…")
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!dumped.contains(secret.text))
    }

    @Test(arguments: [
        "", "blobd_", "blobd_AAAA", "BLOBD_" + String(repeating: "A", count: 43),
        "blobd_" + String(repeating: "A", count: 42) + "=", "blobd_" + String(repeating: "A", count: 44),
        // The same 32 bytes written in another way: the last character's two low bits are not part of them.
        "blobd_" + String(repeating: "A", count: 42) + "B", "blobd_" + String(repeating: "A", count: 42) + "+",
    ])
    func notSecrets(text: String) {
        #expect(TokenSecret(parsing: text) == nil)
    }

    @Test func requests() throws {
        let request = try TokenRequest(name: "A.b_c-9", scopes: "delete,admin", expires: "30d")
        #expect(request.scopes == [.delete, .admin])
        #expect(request.life == .seconds(30 * 86_400))
        #expect(try TokenRequest(name: "x", scopes: "read", expires: nil).life == nil)
        #expect(request.subject == Subject("A.b_c-9"))
        #expect(try TokenRequest(name: "x", subject: "y", scopes: "read", expires: nil).subject == Subject("y"))
    }

    @Test(arguments: [
        ("", "read", nil, "the name '' must be 1 to 64 letters, digits, '.', '_' or '-'"),
        ("a b", "read", nil, "the name 'a b' must be 1 to 64 letters, digits, '.', '_' or '-'"),
        ("é", "read", nil, "the name 'é' must be 1 to 64 letters, digits, '.', '_' or '-'"),
        ("x", "", nil, "--scopes: '' must be some of upload,read,delete,admin, with commas between them"),
        (
            "x", "read, write", nil,
            "--scopes: ' write' must be some of upload,read,delete,admin, with commas between them"
        ),
        (
            "x", "admin,upload", nil,
            "--scopes: admin alone allows nothing: add read to see everybody's files, delete to remove them"
        ),
        ("x", "read", "soon", "--expires: 'soon' must be \(Duration.form)"),
        ("x", "read", "0s", "--expires: '0s' must be \(Duration.form)"),
    ])
    func wrongRequests(name: String, scopes: String, expires: String?, message: String) throws {
        let error = #expect(throws: TokenRequest.Invalid.self) {
            try TokenRequest(name: name, scopes: scopes, expires: expires)
        }
        #expect(error?.description == message)
        let arguments = ["token", "create", name, "--scopes", scopes] + (expires.map { ["--expires", $0] } ?? [])
        let thrown = try #require(#expect(throws: (any Error).self) { try RootCommand.parseAsRoot(arguments) })
        #expect(RootCommand.exitCode(for: thrown).rawValue == 64)
        #expect(RootCommand.message(for: thrown) == message)
    }

    @Test(arguments: ["", "a b", "é", "../x", String(repeating: "a", count: 65)])
    func wrongSubjects(subject: String) throws {
        let error = #expect(throws: TokenRequest.Invalid.self) {
            try TokenRequest(name: "x", subject: subject, scopes: "read", expires: nil)
        }
        #expect(error?.description == "--subject: '\(subject)' must be 1 to 64 letters, digits, '.', '_' or '-'")
        let arguments = ["token", "create", "x", "--subject", subject]
        let thrown = try #require(#expect(throws: (any Error).self) { try RootCommand.parseAsRoot(arguments) })
        #expect(RootCommand.exitCode(for: thrown).rawValue == 64)
    }

    @Test func nameLengths() {
        #expect(throws: Never.self) {
            try TokenRequest(name: String(repeating: "a", count: 64), scopes: "read", expires: nil)
        }
        #expect(throws: TokenRequest.Invalid.self) {
            try TokenRequest(name: String(repeating: "a", count: 65), scopes: "read", expires: nil)
        }
    }

    @Test func creating() async throws {
        let clock = ManualClock()
        let catalog: any Catalog = InMemoryCatalog(clock: clock)
        let command = try #require(try RootCommand.parseAsRoot(["token", "create", "phone"]) as? TokenCommand.Create)
        let secret = try await command.request().create(in: catalog, clock: clock)
        let token = try #require(try await catalog.token(secretDigest: secret.digest))
        #expect(
            token == AccessToken(name: "phone", scopes: [.upload, .read, .delete], created: clock.now, expires: nil))

        let request = try TokenRequest(name: "brief", scopes: "read", expires: "1m")
        let brief = try await request.create(in: catalog, clock: clock)
        #expect(try await catalog.token(secretDigest: brief.digest)?.expires == clock.time(in: .seconds(60)))
        await #expect(throws: BlobError.self) { try await request.create(in: catalog, clock: clock) }
    }

    @Test func list() {
        let created = Date(timeIntervalSince1970: 1_750_000_000)
        let tokens = [
            AccessToken(name: "a", scopes: [.delete, .upload], created: created, expires: nil),
            AccessToken(
                name: "longer", subject: Subject("a"), scopes: Set(Scope.allCases), created: created,
                expires: created + 60, lastUsed: Date(timeIntervalSince1970: 1_749_999_600)),
        ]
        #expect(
            TokenCommand.List.table(tokens) == """
                name    subject  scopes                    created               expires               last used
                a       a        upload,delete             2025-06-15T15:06:40Z  never                 never
                longer  a        upload,read,delete,admin  2025-06-15T15:06:40Z  2025-06-15T15:07:40Z  2025-06-15T15:00:00Z
                """
        )
    }
}

struct AdminTokenTests {
    private let clock = ManualClock()

    private func secret(in directory: String) throws -> TokenSecret? {
        let text = try String(contentsOfFile: AdminToken.path(in: directory), encoding: .utf8)
        #expect(text.hasSuffix("\n"))
        return TokenSecret(parsing: String(text.dropLast()))
    }

    @Test func firstStart() async throws {
        let catalog: any Catalog = InMemoryCatalog(clock: clock)
        try await withTemporaryDirectory { directory in
            let path = try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock)
            #expect(path == directory + "/admin-token")
            #expect(try permissions(of: directory + "/admin-token") == 0o600)
            let secret = try #require(try secret(in: directory))
            let token = try await catalog.token(secretDigest: secret.digest)
            #expect(token?.name == "admin")
            #expect(token?.scopes == Set(Scope.allCases))
            #expect(token?.expires == nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["admin-token"])

            #expect(try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock) == path, "told again")
            #expect(try self.secret(in: directory) == secret)
        }
    }

    /// Another file in the place of the token's is not told as the token, and keeps no server from serving.
    @Test(arguments: ["hello\n", TokenSecret().text + "\n"])
    func otherFile(text: String) async throws {
        let catalog: any Catalog = InMemoryCatalog(clock: clock)
        try await withTemporaryDirectory { directory in
            let path = try #require(try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock))
            try Data(text.utf8).write(to: URL(filePath: path))
            #expect(try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock) == nil)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        }
    }

    /// A crash after the file, before the row.
    @Test func adoptsTheFileOfACrashedStart() async throws {
        try await withTemporaryDirectory { directory in
            _ = try await AdminToken.prepare(in: directory, catalog: InMemoryCatalog(clock: clock), clock: clock)
            let kept = try #require(try secret(in: directory))

            let catalog: any Catalog = InMemoryCatalog(clock: clock)
            #expect(try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock) != nil)
            #expect(try await catalog.token(secretDigest: kept.digest)?.name == "admin")
            #expect(try secret(in: directory) == kept)
        }
    }

    /// A crash in the middle of the file leaves only the temporary one.
    @Test func replacesWhatACrashLeft() async throws {
        try await withTemporaryDirectory { directory in
            try Data("blobd_half".utf8).write(to: URL(filePath: directory + "/.admin-token.new"))
            let catalog: any Catalog = InMemoryCatalog(clock: clock)
            #expect(try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock) != nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["admin-token"])
        }
    }

    @Test func notWhereOthersHaveTokens() async throws {
        try await withTemporaryDirectory { directory in
            let catalog: any Catalog = InMemoryCatalog(clock: clock)
            _ = try await TokenRequest(name: "x", scopes: "read", expires: nil).create(in: catalog, clock: clock)
            #expect(try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock) == nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
        }
    }

    @Test func notAdoptedAfterRevoking() async throws {
        try await withTemporaryDirectory { directory in
            let catalog: any Catalog = InMemoryCatalog(clock: clock)
            _ = try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock)
            let revoked = try #require(try secret(in: directory))
            try AdminToken.removeFile(in: directory)
            try AdminToken.removeFile(in: directory)
            #expect(try await catalog.revokeToken(named: "admin"))
            _ = try await AdminToken.prepare(in: directory, catalog: catalog, clock: clock)
            #expect(try await catalog.token(secretDigest: revoked.digest) == nil)
        }
    }

    @Test func damagedFile() async throws {
        try await withTemporaryDirectory { directory in
            let path = AdminToken.path(in: directory)
            try replaceFile(at: FilePath(path), with: Array("hello\n".utf8), permissions: .ownerReadWrite)
            let error = await #expect(throws: OperatorError.self) {
                try await AdminToken.prepare(in: directory, catalog: InMemoryCatalog(clock: clock), clock: clock)
            }
            #expect(error?.description == "\(path) holds no token: remove it, and the next start makes a new one")
        }
    }

    @Test func directoryThatCannotBeWritten() async throws {
        let error = await #expect(throws: OperatorError.self) {
            try await AdminToken.prepare(in: "/nowhere/at/all", catalog: InMemoryCatalog(clock: clock), clock: clock)
        }
        #expect(
            error?.description
                == "cannot write the first token to /nowhere/at/all/admin-token: No such file or directory"
        )
    }
}
