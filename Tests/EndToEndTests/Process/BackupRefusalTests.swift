// The directories that a backup, a restore and every command on a data directory refuse, and that a refusal changes
// nothing.

import Foundation
import Testing

/// One command line in a folder where `live` is the data directory, and the words that its error must have.
struct RefusedCommand: Sendable {
    let line: String
    let says: String
    /// The state of the directories before it; see ``BackupRefusalTests/prepare(_:_:)``.
    var scene = Scene.backedUp

    enum Scene: CaseIterable {
        /// `live` was backed up to `backup` and has had a new file since; its server is stopped.
        case backedUp
        /// The same, and its server runs.
        case running
        /// `backup` was restored to `restored`.
        case restored
        /// `old` is a copy of `live`, which was served and backed up since.
        case copied
        /// A restore to `restored` was interrupted.
        case interrupted
        /// `live` has lost its catalog.
        case lostCatalog
    }

    init(_ line: String, _ scene: Scene = .backedUp, says: String) {
        (self.line, self.scene, self.says) = (line, scene, says)
    }
}

@Suite("Refused backups", .inTurn)
struct BackupRefusalTests {
    static let targets = [
        RefusedCommand("backup project --data live", says: "project/blobs/ab/precious.txt"),
        RefusedCommand("backup backup/foreign --data live", says: "foreign/text"),
        RefusedCommand("backup live --data live", says: "same directory"),
        RefusedCommand("backup live/ --data ./live/.", says: "same directory"),
        RefusedCommand("backup live/new --data live", says: "one lies in the other"),
        RefusedCommand("backup live/blobs/ab --data live", .running, says: "one lies in the other"),
        RefusedCommand("backup link --data live", says: "same directory"),
        RefusedCommand("backup link/blobs --data live", says: "one lies in the other"),
        RefusedCommand("backup shared --data live", says: "one lies in the other"),
        RefusedCommand("backup . --data live", says: "one lies in the other"),
        RefusedCommand("backup backup --data other", says: "choose another directory for its backup"),
        RefusedCommand("backup other --data live", says: "is no backup but the data directory of the store"),
        RefusedCommand("backup backup --data restored", .restored, says: "of whose backup it was made"),
        RefusedCommand("backup backup --data old", .copied, says: "newer than"),
        RefusedCommand("backup restored --data live", .interrupted, says: "a restore that was interrupted"),
        RefusedCommand("restore backup --data project", says: "project/blobs/ab/precious.txt"),
        RefusedCommand("restore backup --data live", says: "holds data already"),
        RefusedCommand("restore backup --data backup", says: "same directory"),
        RefusedCommand("restore backup --data backup/new", says: "one lies in the other"),
        RefusedCommand("restore backup --data backup-2", says: "is a backup of the store"),
        RefusedCommand("restore other-backup --data restored", .interrupted, says: "go on with that backup"),
    ]

    static let sources = [
        RefusedCommand("backup live --data backup", says: "is a backup of the store"),
        RefusedCommand("backup backup-2 --data backup", says: "is a backup of the store"),
        RefusedCommand("backup new --data restored", .interrupted, says: "a restore of the store"),
        RefusedCommand("backup new --data project", says: "no data directory of blobd"),
        RefusedCommand("backup new --data nothing", says: "no data directory of blobd"),
        RefusedCommand("restore live --data new", says: "is no backup but the data directory of the store"),
        RefusedCommand("restore live --data backup", says: "is no backup but the data directory of the store"),
        RefusedCommand("restore project --data new", says: "no backup of blobd"),
        RefusedCommand("restore nothing --data new", says: "no backup of blobd"),
        RefusedCommand("restore restored --data new", .interrupted, says: "a restore that was interrupted"),
    ]

    static let others = [
        RefusedCommand("serve --data backup", says: "blobd restore backup"),
        RefusedCommand("serve --data project", says: "project/blobs/ab/precious.txt"),
        RefusedCommand("serve --data foreign", says: "foreign/text"),
        RefusedCommand("serve --data database", says: "database/catalog.sqlite"),
        RefusedCommand("serve --data restored", .interrupted, says: "let it come to its end"),
        RefusedCommand("serve --data live", .lostCatalog, says: "put the catalog back"),
        RefusedCommand("reclaim --data backup", says: "blobd restore backup"),
        RefusedCommand("reclaim --data foreign", says: "no data directory of blobd"),
        RefusedCommand("reclaim --data restored", .interrupted, says: "let it come to its end"),
        RefusedCommand("token create x --data backup", says: "blobd restore backup"),
        RefusedCommand("token list --data foreign", says: "no data directory of blobd"),
        RefusedCommand("token revoke admin --data restored", .interrupted, says: "let it come to its end"),
        RefusedCommand("check --data foreign", says: "no data directory of blobd"),
        RefusedCommand("check --data restored", .interrupted, says: "let it come to its end"),
        RefusedCommand("check --data unfinished", says: "a backup that was never finished"),
        RefusedCommand("restore unfinished --data new", says: "a backup that was never finished"),
        RefusedCommand("migrate --from local --to cloud --data backup", says: "blobd restore backup"),
    ]

    @Test("what was found is told, and nothing is made, changed or removed", arguments: RefusedCommand.Scene.allCases)
    func refused(_ scene: RefusedCommand.Scene) async throws {
        let (server, other) = (try ServerProcess(), try ServerProcess())
        try await prepare(server, other, scene)
        let before = try Snapshot(of: server.folder.path)
        for refused in (Self.targets + Self.sources + Self.others) where refused.scene == scene {
            let outcome = try await ChildProcess.run(
                [ServerProcess.executable] + refused.line.split(separator: " ").map(String.init),
                in: server.folder.path, environment: environment(of: refused.line))
            #expect(outcome.end == .code(refused.line.hasPrefix("check") ? 2 : 1), "\(refused.line): \(outcome)")
            #expect(outcome.errors.contains(refused.says), "\(refused.line): \(outcome.errors)")
            #expect(try Snapshot(of: server.folder.path).difference(to: before) == [], "\(refused.line)")
        }
        for server in [server, other] { try await server.kill() }
    }

    @Test("what a file system, an operator or a power loss left keeps nobody from a first start")
    func freshFileSystem() async throws {
        let server = try ServerProcess()
        try FileManager.default.createDirectory(
            atPath: "\(server.data)/lost+found", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: "\(server.data)/tls", withIntermediateDirectories: false)
        try Data(count: 512).write(to: URL(filePath: "\(server.data)/catalog.sqlite-journal"))
        try await server.start()
        _ = try await server.admin().publish([1])
        for name in ["backup", "restored"] {
            try FileManager.default.createDirectory(
                atPath: "\(server.folder.path)/\(name)/lost+found", withIntermediateDirectories: true)
        }
        try await run(server, "backup", "backup", server.data)
        try await run(server, "restore", "backup", "restored")
        try await server.kill()
    }

    /// A migration looks at its source before it asks for a database, so that none needs to be there.
    private func environment(of line: String) -> [String: String] {
        guard line.hasPrefix("migrate") else { return ["BLOBD_LISTEN": "127.0.0.1:0"] }
        return [
            "BLOBD_DATABASE": "postgresql://127.0.0.1:1/none", "BLOBD_S3_BUCKET": "none", "BLOBD_S3_ACCESS_KEY": "none",
            "BLOBD_S3_SECRET_KEY": "none",
        ]
    }

    private func prepare(_ server: ServerProcess, _ other: ServerProcess, _ scene: RefusedCommand.Scene) async throws {
        let folder = server.folder.path
        try server.folder.make("project/blobs/ab/precious.txt", holding: "precious")
        try server.folder.make("foreign/text", holding: "text")
        try server.folder.make(
            "unfinished/blobd-label", holding: "blobd backup\nstore \(UUID().uuidString.lowercased())\n")
        let database = try Snapshot.foreignDatabase()
        try server.folder.make("database/catalog.sqlite", holding: database)
        let live = ["--data", "\(folder)/live"]
        try await server.start(live)
        _ = try await Client(server: server, bearer: server.folder.text("live/admin-token")).publish([1])
        try await other.start(["--data", "\(folder)/other"])
        _ = try await other.stop()
        try await run(server, "backup", "backup", "live")
        try await run(server, "backup", "backup-2", "live")
        try await run(server, "backup", "other-backup", "other")
        try server.folder.make("backup/foreign/text", holding: "text")
        _ = try await Client(server: server, bearer: server.folder.text("live/admin-token")).publish([2])
        try FileManager.default.createSymbolicLink(atPath: "\(folder)/link", withDestinationPath: "live")
        // A backup whose blobs are the store's own.
        try FileManager.default.createDirectory(atPath: "\(folder)/shared", withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder)/shared/blobs", withDestinationPath: "../live/blobs")
        if scene == .running { return }
        _ = try await server.stop()
        switch scene {
        case .backedUp, .running: break
        case .restored: try await run(server, "restore", "backup", "restored")
        case .copied:
            try FileManager.default.copyItem(atPath: "\(folder)/live", toPath: "\(folder)/old")
            try await server.start(live)
            _ = try await server.stop()
            try await run(server, "backup", "backup", "live")
        case .interrupted:
            try await run(server, "restore", "backup", "restored")
            let label = try server.folder.text("backup/blobd-label")
            try server.folder.make(
                "restored/blobd-label", holding: label.replacingOccurrences(of: "backup", with: "restore") + "\n")
        case .lostCatalog: try FileManager.default.removeItem(atPath: "\(folder)/live/catalog.sqlite")
        }
    }

    private func run(_ server: ServerProcess, _ command: String, _ directory: String, _ data: String) async throws {
        let outcome = try await server.command([command, directory, "--data", data])
        #expect(outcome.end == .code(0), "\(outcome)")
    }
}

/// Every name below a folder, with its contents.
private struct Snapshot {
    private var entries: [String: Data] = [:]

    init(of folder: String) throws {
        let names = try #require(FileManager.default.enumerator(atPath: folder)).compactMap { $0 as? String }
        // SQLite's shared memory changes when a running server is looked at.
        for name in names where !name.hasSuffix("-shm") {
            entries[name] = FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data()
        }
    }

    func difference(to other: Snapshot) -> Set<String> {
        Set(entries.keys).union(other.entries.keys).filter { entries[$0] != other.entries[$0] }
    }

    /// The beginning of a database of another program: two pages of 4096 bytes, and no application's id.
    static func foreignDatabase() throws -> String {
        "SQLite format 3\0\u{10}\0\u{1}\u{1}\0@  " + String(repeating: "\0", count: 8192)
    }
}

extension TemporaryFolder {
    /// Makes a file, and the folders that it is in.
    fileprivate func make(_ name: String, holding text: String) throws {
        let url = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    fileprivate func text(_ name: String) throws -> String {
        String(decoding: try read(name), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
