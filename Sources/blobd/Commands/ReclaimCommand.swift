// `blobd reclaim`: removes at once everything that nobody needs any more.

import ArgumentParser
import BlobStorage
import LocalBackend
import Logging
import Program
import SystemPackage

struct ReclaimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reclaim",
        abstract: "Remove what nobody needs any more, at once.",
        discussion: """
            Removes uploads and files whose time has come, blobs that no file points at, and what a crash left behind. A \
            running server does all of it by itself every few minutes; this asks it to do so now, and does it where no \
            server runs.
            """
    )

    @OptionGroup var dataFlags: DataFlags

    @Option(.reclaimGrace) var reclaimGrace: GivenSetting?

    func run() async throws {
        let given = [dataFlags.data, dataFlags.config, reclaimGrace].compactMap(\.self)
        let effective = try Settings.effective(
            flags: Dictionary(uniqueKeysWithValues: given.map { ($0.setting, $0.text) })
        )
        let log = LineLogHandler.bootstrap(level: .warning, format: effective.value(.logFormat))
        defer { log.drain() }
        let (data, logger): (String, Logger) = (effective.value(.data), Logger(label: "blobd"))
        if case .cloud(let cloud) = try StorageSettings(effective) {
            return try await reclaim(
                try await Storage.cloud(cloud, grace: effective.value(.reclaimGrace), logger: logger)
            )
        }
        try DirectoryContents.requireStore(FilePath(data))
        if let server = try server(of: data) {
            guard !server.isReadOnly else {
                throw OperatorError("the server (process \(server.process)) is read-only: nothing goes until that ends")
            }
            wake(server)
            return try Console.tell(
                "The server (process \(server.process)) was asked to reclaim now; its log tells what it did.")
        }
        try await reclaim(
            try Storage.local(
                in: DataDirectory(serving: FilePath(data)), freeSpaceFloor: 0, grace: effective.value(.reclaimGrace),
                logger: logger
            )
        )
    }

    private func reclaim(_ storage: Storage) async throws {
        let round = try await storage.whileOpen { try await storage.reclaimer.reclaim(searchingAll: true) }
        try Console.tell(
            "removed \(round.uploads) expired uploads, \(round.files) expired files, \(round.blobs) blobs without files, "
                + "and \(round.orphans) left behind without a row"
        )
        guard round.failures == 0 else {
            throw OperatorError("\(round.failures) could not be removed; the lines above tell why")
        }
    }
}
