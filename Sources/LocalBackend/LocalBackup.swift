// A copy of a data directory that is consistent while it is being served, and the way back.

public import BlobCore
import BlobStorage
import Foundation
import GRDB
import Glibc
public import Logging
public import SystemPackage

/// The outcome of a backup or a restore.
public struct BackupSummary: Equatable, Sendable {
    public var blobs: Int64 = 0
    public var bytes: Int64 = 0
    /// Of these, the bytes that had to be copied; the rest was there already or shares its bytes by a hard link.
    public var copiedBytes: Int64 = 0
    /// Blobs whose bytes do not have their digest, or are gone. Their rows are kept, marked as damaged.
    public var damaged: [BlobDigest] = []
    /// Things in a backup that blobd has not put there. They stay.
    public var foreign: [FilePath] = []

    public init() {}
}

/// Backs up a data directory, and restores it.
///
/// A backup has the form of a data directory: a catalog, and the blobs that it names, and bears a ``DirectoryLabel``.
/// The catalog takes its place last, so that a backup that was interrupted is the one before. A directory that is not
/// blobd's own is refused before anything is made or changed in it. All calls block the caller's thread until they are
/// done.
public struct LocalBackup: Sendable {
    let disk: Disk

    public init(logger: Logger) {
        disk = Disk(logger: logger)
    }

    /// Backs up a data directory that a server may be using. Blobs that are in the backup already are not copied again;
    /// those that the server no longer holds are removed from it.
    ///
    /// Open uploads are left out: they are not published yet, and their clients still have their bytes.
    /// - Parameters:
    ///   - path: the data directory.
    ///   - target: an earlier backup of the same store, of this generation or before, or an empty or missing directory.
    ///   - progress: called after every blob.
    /// - Throws: ``OperatorError``, or ``BlobError`` when a disk or a database fails.
    public func backUp(
        _ path: FilePath, to target: FilePath, progress: (BackupSummary) -> Void
    ) throws -> BackupSummary {
        try DirectoryContents.requireStore(path)
        try requireApart(path, target)
        let source = DataDirectory(visiting: path)
        let server = try database { try Connector(path: source.catalog.string, role: .visitor).writer() }
        defer { try? server.close() }
        let version = try database { try server.writeWithoutTransaction(StoreVersion.made) }
        try requireTarget(target, of: version, in: path, server)
        try requireUnused(target)
        let backup = try DataDirectory(holding: target)
        defer { withExtendedLifetime(backup) {} }
        // Another run may have ended since.
        try requireTarget(target, of: version, in: path, server)
        if try DirectoryLabel(of: target) == nil {
            try DirectoryLabel(kind: .backup, store: version.identity).put(on: target, disk)
        }
        let snapshot = FilePath(backup.catalog.string + UploadFile.replacementSuffix)
        try removeDatabase(snapshot)
        try database { try server.backup(to: try Self.queue(snapshot)) }
        var summary = try fill(backup, snapshot, progress, prepare: Self.prune) { blob, file in
            let outcome = try share(blob, from: source.path(of: blob.digest), to: file)
            guard outcome == .damaged else { return outcome }
            // Its last file may have gone since the snapshot was taken, and its bytes with it.
            let isLive = try database {
                try server.read { try $0.first(Self.hasFiles, [blob.digest.data]) { _ in true } ?? false }
            }
            return isLive ? .damaged : .gone
        }
        try put(snapshot, in: backup)
        summary.foreign = try removeUnnamed(in: backup)
        return summary
    }

    /// Makes a data directory of a backup, that of a store of its own. Every blob is compared with its digest on the
    /// way. A restore that was interrupted goes on when it is called again; until it has come to its end, nothing
    /// serves the directory.
    ///
    /// - Parameters:
    ///   - path: the backup.
    ///   - target: an empty or missing directory, or what an interrupted restore of the same backup left.
    public func restore(
        _ path: FilePath, to target: FilePath, progress: (BackupSummary) -> Void
    ) throws -> BackupSummary {
        let store = try Self.requireBackup(path)
        try requireApart(path, target)
        try requireTarget(target, ofRestoring: store, from: path)
        try requireUnused(target)
        // Nothing changes the backup meanwhile.
        let hold = try SharedLock(on: path)
        defer { withExtendedLifetime(hold) {} }
        let source = DataDirectory(visiting: path)
        let data = try DataDirectory(holding: target)
        defer { withExtendedLifetime(data) {} }
        try requireTarget(target, ofRestoring: store, from: path)
        try DirectoryLabel(kind: .restore, store: store).put(on: target, disk)
        let snapshot = FilePath(data.catalog.string + UploadFile.replacementSuffix)
        try removeDatabase(snapshot)
        try database { try Self.queue(source.catalog, isReadOnly: true).backup(to: try Self.queue(snapshot)) }
        let summary = try fill(data, snapshot, progress, prepare: Self.beginAnew) { blob, file in
            try self.copy(blob, from: source.path(of: blob.digest), to: file)
        }
        try put(snapshot, in: data)
        try DirectoryLabel.remove(from: target, disk)
        return summary
    }

    /// Gives a backup's catalog the form back that it has after a backup, when something has had it open: one file,
    /// which can be read where nothing can be written.
    public func seal(_ path: FilePath) throws {
        try database {
            let rows = try Self.queue(DataDirectory.catalog(in: path))
            try rows.writeWithoutTransaction { try $0.execute(sql: Self.keepInOneFile) }
            try rows.close()
        }
    }

    // MARK: Steps

    private enum Outcome {
        case present, copied, damaged
        /// Removed while the backup was made.
        case gone
    }

    /// Gives a directory the bytes of all blobs that a snapshot names, and removes from the snapshot the rows that it
    /// cannot keep.
    private func fill(
        _ directory: DataDirectory, _ snapshot: FilePath, _ progress: (BackupSummary) -> Void,
        prepare: (Database) throws -> Void, by provide: (BlobRecord, FilePath) throws -> Outcome
    ) throws -> BackupSummary {
        var summary = BackupSummary()
        try database {
            let rows = try Self.queue(snapshot)
            try rows.writeWithoutTransaction(prepare)
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
            try rows.close()
        }
        for byte in UInt8.min...UInt8.max { try disk.syncDirectory(directory.blobs(beginningWith: byte)) }
        return summary
    }

    private static let hasFiles = "SELECT 1 FROM files WHERE digest = ? LIMIT 1"

    private static let keepInOneFile = "PRAGMA journal_mode = DELETE"

    /// Open uploads have no bytes here, and blobs without files nobody misses.
    private static func prune(_ db: Database) throws {
        try db.execute(
            sql: """
                \(keepInOneFile);
                DELETE FROM uploads WHERE state <> 1;
                DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.digest = blobs.digest);
                """
        )
    }

    /// A restored directory begins as a store of its own, and with the log that tells it from a backup.
    private static func beginAnew(_ db: Database) throws {
        try StoreVersion.beginAnew(in: db)
        try db.execute(sql: "PRAGMA journal_mode = WAL")
    }

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

    /// Copies a blob and compares it with its digest. One that is there under its name was compared before.
    private func copy(_ blob: BlobRecord, from source: FilePath, to file: FilePath) throws(BlobError) -> Outcome {
        var status = stat()
        if stat(file.string, &status) == 0 && Int64(status.st_size) == blob.size { return .present }
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
    ///
    /// - Returns: the names that are not blobd's, and stay.
    private func removeUnnamed(in backup: DataDirectory) throws -> [FilePath] {
        var foreign: [FilePath] = []
        try database {
            let rows = try Self.queue(backup.catalog, isReadOnly: true)
            defer { try? rows.close() }
            foreign = try disk.names(in: backup.path).filter { !Self.isOwn($0) }.map(backup.path.appending)
            foreign += try disk.names(in: backup.blobs).filter { !DataDirectory.isNameOfBlobs($0) }
                .map(backup.blobs.appending)
            for byte in UInt8.min...UInt8.max {
                let directory = backup.blobs(beginningWith: byte)
                for name in try disk.names(in: directory) {
                    let path = directory.appending(name)
                    guard let digest = Self.digest(ofFileNamed: name), digest.bytes.first == byte, isFile(path) else {
                        foreign.append(path)
                        continue
                    }
                    let isNamed =
                        try name == digest.hex
                        && rows.read { db in try db.first(BlobRows.isKnown, [digest.data]) { _ in true } ?? false }
                    if !isNamed { try disk.unlink(path) }
                }
            }
        }
        return foreign
    }

    /// Whether a name is one that blobd, or the file system, gives in the directory of a backup.
    private static func isOwn(_ name: String) -> Bool {
        DataDirectory.namesOfParts.contains(name) || ["lost+found", DirectoryLabel.fileName].contains(name)
            || name.hasPrefix("catalog.sqlite")
    }

    /// The blob that a file in `blobs` is, or was about to become.
    private static func digest(ofFileNamed name: String) -> BlobDigest? {
        let suffix = UploadFile.replacementSuffix
        let stem = name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : name
        guard let digest = try? BlobDigest(parsing: stem), digest.hex == stem else { return nil }
        return digest
    }

    private func isFile(_ path: FilePath) -> Bool {
        var status = stat()
        return lstat(path.string, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    // MARK: Databases

    static func queue(_ path: FilePath, isReadOnly: Bool = false) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = isReadOnly
        configuration.prepareDatabase { db in
            if !isReadOnly { try db.execute(sql: "PRAGMA synchronous = FULL") }
        }
        return try DatabaseQueue(path: path.string, configuration: configuration)
    }

    private func removeDatabase(_ path: FilePath) throws(BlobError) {
        try disk.unlink(path)
        try removeDatabaseCompanions(path)
    }

    private func removeDatabaseCompanions(_ path: FilePath) throws(BlobError) {
        for suffix in ["-wal", "-shm", "-journal"] { try disk.unlink(FilePath(path.string + suffix)) }
    }

    func database<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            throw DatabaseErrors(logger: disk.logger).opening(error)
        }
    }
}
