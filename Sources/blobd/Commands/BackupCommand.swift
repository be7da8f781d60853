// `blobd backup` and `blobd restore`: a copy of everything that was acknowledged, and the way back.

import ArgumentParser
import BlobStorage
import Glibc
import LocalBackend
import Logging
import NIOPosix
import Program
import SystemPackage

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Back up a data directory, while a server may be using it.",
        discussion: """
            The backup is a directory of the same form. Into an earlier backup only what is new is written, and what the \
            server no longer holds goes from it; an interrupted run leaves the earlier one as it was. On the same file \
            system blobs are shared by hard links. Uploads that are still open are left out.

            A directory that holds anything else is refused and stays as it is: other files, another store, the backup of \
            another store, or one that was made when the data had been served more often than now.
            """
    )

    @Argument(help: "The directory of the backup: an earlier one of the same store, an empty one, or a new one.")
    var directory: String

    @OptionGroup var dataFlags: DataFlags

    func run() async throws {
        try await transfer(dataFlags, "backed up") { backup, data, progress in
            try backup.backUp(FilePath(data), to: FilePath(directory), progress: progress)
        }
    }
}

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a data directory of a backup, comparing every blob with its digest.",
        discussion: """
            The directory of --data must be empty or new. When this was interrupted, run it again; nothing serves the \
            directory before. What was restored is a store of its own from then on, and has its backups elsewhere.
            """
    )

    @Argument(help: "The directory of the backup.")
    var directory: String

    @OptionGroup var dataFlags: DataFlags

    func run() async throws {
        try await transfer(dataFlags, "restored") { backup, data, progress in
            try backup.restore(FilePath(directory), to: FilePath(data), progress: progress)
        }
    }
}

/// Runs a backup or a restore on a thread of its own, and tells the outcome.
private func transfer(
    _ flags: DataFlags, _ done: String,
    _ work: @escaping @Sendable (LocalBackup, String, (BackupSummary) -> Void) throws -> BackupSummary
) async throws {
    let effective = try Settings.effective(flags: flags.given)
    let log = LineLogHandler.bootstrap(level: .critical, format: effective.value(.logFormat))
    defer { log.drain() }
    guard case .local = try StorageSettings(effective) else {
        throw OperatorError(
            "the storage 'cloud' is backed up by the means of its database and its bucket: see the operations guide"
        )
    }
    let data: String = effective.value(.data)
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let summary = try await NIOThreadPool.singleton.runIfActive {
        var last = ContinuousClock.now
        return try work(LocalBackup(logger: Logger(label: "blobd")), data) { summary in
            guard isTerminal, last.duration(to: .now) >= .milliseconds(200) else { return }
            last = .now
            // Only a sign of life; the result below counts.
            try? Console.tell(Console.lineStart + "\(summary.blobs) blobs, \(sizeText(summary.bytes))", ending: "")
        }
    }
    if isTerminal { try Console.tell(Console.lineStart, ending: "") }
    for digest in summary.damaged { Console.complain("the blob \(digest) is damaged") }
    try Console.tell(
        "\(done) \(summary.blobs) blobs, \(sizeText(summary.bytes)); \(sizeText(summary.copiedBytes)) were copied"
    )
    if let first = summary.foreign.first {
        try Console.tell("\(summary.foreign.count) names in it are not blobd's and were left alone, such as \(first)")
    }
    guard summary.damaged.isEmpty else {
        throw OperatorError("\(summary.damaged.count) blobs are damaged; 'blobd check' tells more")
    }
}
