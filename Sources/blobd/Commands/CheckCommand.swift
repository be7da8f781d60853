// `blobd check`: whether everything that was acknowledged is still there, byte for byte.

import ArgumentParser
import BlobCore
import BlobStorage
import Glibc
import LocalBackend
import Logging
import Program
import SystemPackage

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare every blob with its digest, and rows with bytes.",
        discussion: """
            Bytes that are not what their digest says are moved to 'quarantine' in the data directory and never deleted; \
            downloads of them answer 500 BLOB_CORRUPT until the same content is uploaded again or the file is restored. \
            Works beside a running server, which then moves them itself. In the storage 'cloud' they stay where they are, \
            and are served no more.

            A backup is checked the same way. The next backup brings what is damaged in it again.

            Where all blobs are too many, --sample 1 examines one in a hundred, others each time. Rows are compared with \
            each other in full.

            Exit codes: 0 everything is well, 1 damage was found, 2 the check could not be made or told, 64 the command \
            line is wrong.
            """
    )

    @OptionGroup var dataFlags: DataFlags

    @Flag(help: "Compare sizes only, and read no bytes.")
    var quick = false

    @Option(help: ArgumentHelp("Examine so many percent of the blobs, chosen at random.", valueName: "percent"))
    var sample: Double?

    @Flag(help: "Print JSON lines, as is done anyway where standard output is no terminal.")
    var json = false

    @Option(help: "Blobs that are examined at one time (default: 1; in the storage 'cloud' 16).")
    var jobs: Int?

    func validate() throws {
        guard (1...256).contains(jobs ?? 1) else { throw ValidationError("--jobs must be 1 to 256") }
        let percent = sample ?? 100
        guard percent > 0, percent <= 100 else { throw ValidationError("--sample must be above 0 and at most 100") }
    }

    func run() async throws {
        let report = CheckReport(style: json || isatty(STDOUT_FILENO) == 0 ? .json : .text)
        do {
            let isWell = try await check(report)
            try report.requireWritten()
            guard isWell else { throw ExitCode(1) }
        } catch let code as ExitCode {
            throw code
        } catch let error as SettingsError {
            error.problems.forEach(Console.complain)
            throw ExitCode(2)
        } catch {
            Console.complain(sentence(of: error))
            throw ExitCode(2)
        }
    }

    /// - Returns: whether everything is well.
    private func check(_ report: CheckReport) async throws -> Bool {
        let effective = try Settings.effective(flags: dataFlags.given)
        // Findings go to standard output; the storage would tell them again.
        let log = LineLogHandler.bootstrap(level: .critical, format: effective.value(.logFormat))
        defer { log.drain() }
        let (data, logger): (String, Logger) = (effective.value(.data), Logger(label: "blobd"))
        if case .cloud(let cloud) = try StorageSettings(effective) {
            // Each waits for the network most of the time.
            return try await run(
                on: try await Storage.cloud(cloud, grace: .zero, logger: logger), jobs: jobs ?? 16, report
            )
        }
        if case .backup = try DirectoryContents(of: FilePath(data)) {
            return try await checkBackup(FilePath(data), logger, report)
        }
        try DirectoryContents.requireStore(FilePath(data))
        if let server = try server(of: data) {
            let visited = try VisitedStorage(at: data, logger: logger)
            return try await whileOpen(closing: { await visited.close() }) {
                let check = check(visited.backend, jobs: jobs ?? 1, report)
                let isWell = try await check.run(examining: check.suspect)
                // When this ends, the server serves none of the damaged blobs.
                if !isWell { wake(server) }
                while try await check.isWaitingForTheServer(), try blobd.server(of: data) != nil {
                    try await Task.sleep(for: .milliseconds(200))
                }
                return isWell
            }
        }
        return try await run(
            on: try Storage.local(
                in: DataDirectory(serving: FilePath(data)), freeSpaceFloor: 0, grace: .zero, logger: logger
            ),
            jobs: jobs ?? 1, report
        )
    }

    /// A backup has no server, and stays a backup.
    private func checkBackup(_ path: FilePath, _ logger: Logger, _ report: CheckReport) async throws -> Bool {
        report.begin(backup: try LocalBackup.description(of: path))
        let directory = try DataDirectory(holding: path)
        defer { withExtendedLifetime(directory) {} }
        let result: Result<Bool, any Error>
        do {
            let storage = try Storage.local(in: directory, freeSpaceFloor: 0, grace: .zero, logger: logger)
            result = .success(try await run(on: storage, jobs: jobs ?? 1, report))
        } catch {
            result = .failure(error)
        }
        try LocalBackup(logger: logger).seal(path)
        return try result.get()
    }

    private func check(_ backend: any Backend, jobs: Int, _ report: CheckReport) -> Check {
        Check(backend: backend, isReading: !quick, samplePercent: sample, jobs: jobs, report: report)
    }

    /// Checks what this process may change.
    private func run(on storage: Storage, jobs: Int, _ report: CheckReport) async throws -> Bool {
        let check = check(storage.backend, jobs: jobs, report)
        return try await storage.whileOpen {
            try await check.run { [quick] record, pace throws(BlobError) in
                try await storage.blobs.verify(record, reading: !quick, pace: pace)
            }
        }
    }
}
