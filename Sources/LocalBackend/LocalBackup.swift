// A copy of a data directory that is consistent while it is being served, and the way back.

public import BlobCore
import BlobStorage
import Foundation
import GRDB
import Glibc
public import Logging
public import SystemPackage

/// What a backup or a restore did.
public struct BackupSummary: Equatable, Sendable {
    public var blobs: Int64 = 0
    public var bytes: Int64 = 0
    /// Of these, what had to be copied; the rest was there already or shares its bytes by a hard link.
    public var copiedBytes: Int64 = 0
    /// Blobs whose bytes are not what their digest says, or gone. Their rows are kept, marked as damaged.
    public var damaged: [BlobDigest] = []

    public init() {}
}

/// Backs up a data directory, and restores it.
///
/// A backup has the form of a data directory: a catalog, and the blobs that it names. The catalog takes its place last,
/// so that a backup that was interrupted is the one before. All calls block for as long as it takes, on the caller's
/// thread.
public struct LocalBackup: Sendable {
    private let disk: Disk

    public init(logger: Logger) {
        disk = Disk(logger: logger)
    }

    /// Backs up a data directory that a server may be using. What is in the backup already is not copied again; what
    /// the server no longer holds goes from it.
    ///
    /// Open uploads are left out: they are not published yet, and their clients still have their bytes.
    /// - Parameters:
    ///   - path: the data directory.
    ///   - target: an earlier backup of the same, or an empty or missing directory.
    ///   - progress: called after every blob.
    /// - Throws: ``BlobError/Code/unavailable`` with a message for the administrator.
    public func backUp(
        _ path: FilePath, to target: FilePath, progress: (BackupSummary) -> Void
    ) throws(BlobError) -> BackupSummary {
        let source = DataDirectory(visiting: path)
        guard access(source.catalog.string, F_OK) == 0 else {
            throw BlobError(.unavailable, "\(path) is no data directory of blobd: correct --data")
        }
        let backup = try DataDirectory(serving: target)
        defer { withExtendedLifetime(backup) {} }
        let snapshot = FilePath(backup.catalog.string + UploadFile.replacementSuffix)
        try removeDatabase(snapshot)
        let server = try database {
            let server = try Connector(path: source.catalog.string, role: .visitor).writer()
            try requireSameCatalog(server, backup.catalog)
            try server.backup(to: try Self.queue(snapshot))
            return server
        }
        let summary = try fill(backup, snapshot, progress) { blob, file throws(BlobError) in
            let outcome = try share(blob, from: source.path(of: blob.digest), to: file)
            guard outcome == .damaged else { return outcome }
            // Its last file may have gone since the snapshot was taken, and its bytes with it.
            let isLive = try database {
                try server.read { try $0.first(Self.hasFiles, [blob.digest.data]) { _ in true } ?? false }
            }
            return isLive ? .damaged : .gone
        }
        try put(snapshot, in: backup)
        try removeUnnamed(in: backup)
        return summary
    }

    /// Makes a data directory of a backup. Every blob is compared with its digest on the way.
    ///
    /// - Parameters:
    ///   - path: the backup.
    ///   - target: an empty or missing directory.
    public func restore(
        _ path: FilePath, to target: FilePath, progress: (BackupSummary) -> Void
    ) throws(BlobError) -> BackupSummary {
        let source = DataDirectory(visiting: path)
        guard access(source.catalog.string, F_OK) == 0 else {
            throw BlobError(.unavailable, "\(path) is no backup of blobd: it has no catalog.sqlite")
        }
        let data = try DataDirectory(serving: target)
        defer { withExtendedLifetime(data) {} }
        guard access(data.catalog.string, F_OK) != 0 else {
            throw BlobError(.unavailable, "\(target) holds data already; restore to an empty or new directory")
        }
        let snapshot = FilePath(data.catalog.string + UploadFile.replacementSuffix)
        try removeDatabase(snapshot)
        try database { try Self.queue(source.catalog, isReadOnly: true).backup(to: try Self.queue(snapshot)) }
        let summary = try fill(data, snapshot, progress) { blob, file throws(BlobError) in
            try self.copy(blob, from: source.path(of: blob.digest), to: file)
        }
        try put(snapshot, in: data)
        return summary
    }

    // MARK: Steps

    private enum Outcome {
        case present, copied, damaged
        /// Removed while the backup was made.
        case gone
    }

    /// Gives a directory the bytes of all blobs that a snapshot names, and takes from the snapshot what it cannot keep.
    private func fill(
        _ directory: DataDirectory, _ snapshot: FilePath, _ progress: (BackupSummary) -> Void,
        by provide: (BlobRecord, FilePath) throws(BlobError) -> Outcome
    ) throws(BlobError) -> BackupSummary {
        var summary = BackupSummary()
        try database {
            let rows = try Self.queue(snapshot)
            defer { try? rows.close() }
            try rows.writeWithoutTransaction { try $0.execute(sql: Self.prune) }
            var last = Data()
            while true {
                let page = try rows.read { db in
                    try db.all(BlobRows.recordsAfter, [last, 1000], as: BlobRecord.init(row:))
                }
                for blob in page {
                    summary.blobs += 1
                    summary.bytes += blob.size
                    switch try provide(blob, directory.path(of: blob.digest)) {
                    case .present: break
                    case .copied: summary.copiedBytes += blob.size
                    case .damaged:
                        summary.damaged.append(blob.digest)
                        let condition = BlobCondition.damaged.rawValue
                        _ = try rows.write { try $0.change(BlobRows.setCondition, [blob.digest.data, condition]) }
                    case .gone:
                        (summary.blobs, summary.bytes) = (summary.blobs - 1, summary.bytes - blob.size)
                        try rows.write { db in
                            try db.change("DELETE FROM files WHERE digest = ?", [blob.digest.data])
                            try db.change("DELETE FROM blobs WHERE digest = ?", [blob.digest.data])
                        }
                    }
                    progress(summary)
                }
                guard let end = page.last else { break }
                last = end.digest.data
            }
        }
        for byte in UInt8.min...UInt8.max { try disk.syncDirectory(directory.blobs(beginningWith: byte)) }
        return summary
    }

    private static let hasFiles = "SELECT 1 FROM files WHERE digest = ? LIMIT 1"

    /// Open uploads have no bytes here, and blobs without files nobody misses. In this mode the database is one file.
    private static let prune = """
        PRAGMA journal_mode = DELETE;
        DELETE FROM uploads WHERE state <> 1;
        DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.digest = blobs.digest);
        """

    /// A blob's file never changes: a backup on the same file system shares it.
    private func share(_ blob: BlobRecord, from source: FilePath, to file: FilePath) throws(BlobError) -> Outcome {
        var status = stat()
        if stat(file.string, &status) == 0 && Int64(status.st_size) == blob.size { return .present }
        guard blob.condition == .sound else { return .damaged }
        try disk.unlink(file)
        if link(source.string, file.string) == 0 { return .present }
        if errno == ENOENT { return .damaged }
        return try copy(blob, from: source, to: file)
    }

    /// Copies a blob and compares it with its digest.
    private func copy(_ blob: BlobRecord, from source: FilePath, to file: FilePath) throws(BlobError) -> Outcome {
        guard let input = try disk.openIfThere(source) else { return .damaged }
        defer { _ = close(input) }
        let temporary = FilePath(file.string + UploadFile.replacementSuffix)
        let output = Glibc.open(temporary.string, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard output >= 0 else { throw disk.writing(errno, temporary) }
        defer { _ = close(output) }
        let copied = try disk.copy(from: input, to: output, of: source)
        guard copied == blob.digest else {
            try disk.unlink(temporary)
            return .damaged
        }
        try disk.syncFile(output, of: temporary)
        try disk.rename(temporary, to: file)
        return .copied
    }

    /// The moment from which the directory is what the snapshot says.
    private func put(_ snapshot: FilePath, in directory: DataDirectory) throws(BlobError) {
        try removeDatabaseCompanions(directory.catalog)
        try disk.rename(snapshot, to: directory.catalog)
        try disk.syncDirectory(directory.path)
    }

    /// Removes blobs that the backup's catalog does not name.
    private func removeUnnamed(in backup: DataDirectory) throws(BlobError) {
        try database {
            let rows = try Self.queue(backup.catalog)
            defer { try? rows.close() }
            for byte in UInt8.min...UInt8.max {
                let directory = backup.blobs(beginningWith: byte)
                var names: [String] = []
                try disk.names(in: directory) { names.append($0) }
                for name in names where name != "." && name != ".." {
                    let isNamed = try rows.read { db in
                        guard let digest = try? BlobDigest(parsing: name), digest.hex == name else { return false }
                        return try db.first(BlobRows.isKnown, [digest.data]) { _ in true } ?? false
                    }
                    if !isNamed { try disk.unlink(directory.appending(name)) }
                }
            }
        }
    }

    // MARK: Databases

    private static func queue(_ path: FilePath, isReadOnly: Bool = false) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = isReadOnly
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        return try DatabaseQueue(path: path.string, configuration: configuration)
    }

    /// A backup of one server must not be written over that of another.
    private func requireSameCatalog(_ server: DatabaseQueue, _ backup: FilePath) throws {
        guard access(backup.string, F_OK) == 0 else { return }
        let secrets = try [server, Self.queue(backup, isReadOnly: true)].map { queue in
            try queue.read { try Data.fetchOne($0, sql: "SELECT value FROM meta WHERE name = 'secret'") }
        }
        guard secrets[0] == secrets[1] else {
            throw BlobError(.unavailable, "the directory holds the data of another server; choose another one")
        }
    }

    private func removeDatabase(_ path: FilePath) throws(BlobError) {
        try disk.unlink(path)
        try removeDatabaseCompanions(path)
    }

    private func removeDatabaseCompanions(_ path: FilePath) throws(BlobError) {
        for suffix in ["-wal", "-shm", "-journal"] { try disk.unlink(FilePath(path.string + suffix)) }
    }

    private func database<Value>(_ body: () throws -> Value) throws(BlobError) -> Value {
        do {
            return try body()
        } catch {
            throw DatabaseErrors(logger: disk.logger).opening(error)
        }
    }
}
