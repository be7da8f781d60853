// `blobd token`: who may talk to the server. Works beside a running server, which sees every change at once.

import ArgumentParser
import BlobCore
import BlobStorage
import CloudBackend
import Foundation
import Logging
import Program

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make, list and revoke access tokens.",
        subcommands: [Create.self, List.self, Revoke.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token and print it. It is shown this once and cannot be had again.",
            discussion: """
                A token speaks for a subject, who owns what is uploaded with it. Without --subject the subject is called \
                like the token. To replace a token while the old one still works, make a new one for the same subject, \
                give it to whoever uses the old one, and then revoke that:

                    blobd token create phone-2026 --subject phone
                    blobd token revoke phone
                """
        )

        @Argument(help: "1 to 64 letters, digits, '.', '_' or '-'.")
        var name: String

        @Option(
            help: ArgumentHelp(
                "For whom it speaks: it reaches all that this subject owns, and shares the subject's quota.",
                valueName: "SUBJECT"))
        var subject: String?

        @Option(help: "What it allows: some of upload, read, delete, admin, with commas between them.")
        var scopes = "upload,read,delete"

        @Option(help: ArgumentHelp("When it ends, such as 12h or 30d; never, if not given.", valueName: "TIME"))
        var expires: String?

        @OptionGroup var dataFlags: DataFlags
        @OptionGroup var auditFlags: AuditFlags

        func validate() throws { _ = try request() }

        func run() async throws {
            let request = try request()
            // The first token of a new database may come before its first server.
            try await withCatalog(dataFlags, by: .creating, auditFlags) { catalog, _, auditLog in
                let secret = try await request.create(in: catalog, clock: SystemClock(), auditLog: auditLog)
                do {
                    try Console.tell(secret.text)
                } catch {
                    // Nobody has seen it, and its name would be taken.
                    _ = try await catalog.revoke(request.name, recordedIn: auditLog)
                    throw OperatorError("\(error); the token was revoked again")
                }
            }
        }

        func request() throws -> TokenRequest {
            do {
                return try TokenRequest(name: name, subject: subject, scopes: scopes, expires: expires)
            } catch {
                throw ValidationError(error.description)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all tokens; their secrets are not kept.",
            discussion:
                "The last use is told to the hour. A token that was never used since the server notes it has none."
        )

        @OptionGroup var dataFlags: DataFlags

        func run() async throws {
            let tokens = try await withCatalog(dataFlags) { catalog, _, _ in try await catalog.tokens() }
            try Console.tell(Self.table(tokens))
        }

        static func table(_ tokens: [AccessToken]) -> String {
            alignedTable(
                [["name", "subject", "scopes", "created", "expires", "last used"]]
                    + tokens.map { token in
                        let scopes = Scope.allCases.filter(token.scopes.contains).map(\.rawValue)
                        return [
                            token.name, token.subject.name, scopes.joined(separator: ","),
                            token.created.formatted(.iso8601), token.expires?.formatted(.iso8601) ?? "never",
                            token.lastUsed?.formatted(.iso8601) ?? "never",
                        ]
                    }
            )
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Revoke a token, effective at once.")

        @Argument(help: "The token's name.")
        var name: String

        @OptionGroup var dataFlags: DataFlags
        @OptionGroup var auditFlags: AuditFlags

        func run() async throws {
            let isRevoked = try await withCatalog(dataFlags, auditFlags) { catalog, data, auditLog in
                // Before the row: a start must not adopt the secret of a revoked token.
                if let data, name == AdminToken.name { try AdminToken.removeFile(in: data) }
                return try await catalog.revoke(name, recordedIn: auditLog)
            }
            guard isRevoked else {
                throw OperatorError("there is no token named '\(name)'; 'blobd token list' shows all")
            }
        }
    }
}

/// Runs `body` with the catalog that the settings name, the path of its data directory, where it has one, and the audit
/// log, where there is one and the command adds to it.
private func withCatalog<Value: Sendable>(
    _ flags: DataFlags, by preparation: CloudCatalog.Preparation = .looking, _ auditFlags: AuditFlags? = nil,
    _ body: (any Catalog, String?, AuditFile?) async throws -> Value
) async throws -> Value {
    let given = flags.given.merging(auditFlags?.given ?? [:]) { flag, _ in flag }
    let effective = try Settings.effective(flags: given)
    let log = LineLogHandler.bootstrap(level: .warning, format: effective.value(.logFormat))
    defer { log.drain() }
    ignoreSignalsOfWriting()
    let name: String? = auditFlags == nil ? nil : effective.optionalValue(.auditLog)
    let auditLog = try name.map { name throws(OperatorError) in
        // A command's standard output is for its result.
        try AuditFile.opened(name, output: STDERR_FILENO, logger: Logger(label: "blobd"))
    }
    return try await whileOpen(closing: { await auditLog?.close() }) {
        switch try CatalogSettings(effective) {
        case .local:
            let data: String = effective.value(.data)
            return try await visitCatalog(in: data) { try await body($0, data, auditLog) }
        case .cloud(let database):
            return try await visitCatalog(in: database, by: preparation) { try await body($0, nil, auditLog) }
        }
    }
}
