// `blobd migrate`: from one machine to many nodes, without an hour in which nothing can be downloaded.

import ArgumentParser
import BlobStorage
import CloudBackend
import Glibc
import LocalBackend
import Logging
import Program
import SystemPackage

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring everything from a data directory into S3 and PostgreSQL.",
        discussion: """
            Works beside a running server. Everything is brought: files with their ids, open uploads, tokens. Run it again \
            and only what is new is brought; so run it while the server serves, then restart the server with --read-only, \
            which goes on with downloads, and run it once more: that run ends the migration, and nodes can start.

            Exit codes: 0 everything was brought, 1 something could not be, 75 all was brought that was there, but the \
            server goes on taking changes.
            """
    )

    @Option(help: "What holds the data now.")
    var from: Source

    @Option(help: "What is to hold them.")
    var to: Target

    @Option(name: .customLong("jobs"), help: "Blobs that are brought at one time.")
    var jobs = 8

    @Flag(
        help:
            "End the migration although blobs or uploads are damaged; those are known in the new storage, and damaged.")
    var acceptDamage = false

    @OptionGroup var dataFlags: DataFlags

    /// The only way there is: from a disk to many nodes.
    enum Source: String, ExpressibleByArgument, CaseIterable { case local }
    enum Target: String, ExpressibleByArgument, CaseIterable { case cloud }

    func validate() throws {
        guard (1...256).contains(jobs) else { throw ValidationError("--jobs must be 1 to 256") }
    }

    func run() async throws {
        var given = dataFlags.given
        given[.storage] = StorageKind.cloud.rawValue
        let effective = try Settings.effective(flags: given)
        let log = LineLogHandler.bootstrap(level: .warning, format: effective.value(.logFormat))
        defer { log.drain() }
        guard case .cloud(let settings) = try StorageSettings(effective) else { return }
        let (data, logger): (String, Logger) = (effective.value(.data), Logger(label: "blobd"))
        try DirectoryContents.requireStore(FilePath(data))
        let hold = try SourceHold(data)
        let source = try VisitedStorage(at: data, logger: logger)
        try await whileOpen(closing: { await source.close() }) {
            let target = try await CloudStorage(settings, by: .creating, logger: logger)
            try await whileOpen(closing: { await target.close() }) {
                let report = MigrationReport(isTerminal: isatty(STDOUT_FILENO) == 1)
                let migration = Migration(
                    source: source.backend, target: target.backend, jobs: jobs, report: report, logger: logger)
                let outcome = try await migration.run()
                try report.end("brought \(report.summary); \(outcome.files - outcome.missingFiles) files are there")
                try await end(outcome, hold, target, data)
            }
        }
    }

    /// Ends the migration when nothing can have been missed.
    private func end(
        _ outcome: MigrationOutcome, _ hold: SourceHold, _ target: CloudStorage, _ data: String
    ) async throws {
        for id in outcome.lostUploads { Console.complain("the upload \(id) lacks bytes that were acknowledged") }
        let damaged = outcome.damagedBlobs.count + outcome.lostUploads.count
        guard try hold.isUnchanged() else {
            try Console.tell(
                "The server of \(data) goes on taking changes. To end the migration, restart it with --read-only and run "
                    + "this again."
            )
            throw ExitCode(EX_TEMPFAIL)
        }
        let faults = try await target.backend.catalog.faults()
        faults.forEach { Console.complain("the new catalog: \($0)") }
        guard faults.isEmpty, outcome.missingFiles == 0 else {
            throw OperatorError("\(outcome.missingFiles) files are missing in the new storage; run this again")
        }
        guard damaged == 0 || acceptDamage else {
            throw OperatorError(
                "\(damaged) blobs or uploads are damaged: bring them back and run this again, or give --accept-damage"
            )
        }
        try await target.backend.catalog.endImport()
        try Console.tell(
            "Everything was brought. Start nodes on it, send clients there, and stop the server of \(data).")
    }
}

/// The reason why a data directory does not change: nobody serves it and this process has its lock, or its server is
/// read-only.
private struct SourceHold {
    private let data: String
    private let lock: DataDirectory?
    private let server: DataDirectory.Server?

    init(_ data: String) throws(OperatorError) {
        self.data = data
        server = try blobd.server(of: data)
        guard server == nil else {
            lock = nil
            return
        }
        lock = try DataDirectory(serving: FilePath(data), isReadOnly: true)
    }

    /// Whether nothing can have changed since this was made.
    func isUnchanged() throws(OperatorError) -> Bool {
        guard let server else { return lock != nil }
        guard server.isReadOnly else { return false }
        return try blobd.server(of: data) == server
    }
}
