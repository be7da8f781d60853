// What a directory holds, before anything in it is made or changed.

public import BlobStorage
import Glibc
public import SystemPackage

/// What a directory is to blobd.
public enum DirectoryContents: Equatable, Sendable {
    case missing
    /// Empty, or no more than a start that was interrupted leaves, and `lost+found`.
    case unused
    /// The data directory of a store.
    case store
    /// A backup of a store; `nil` for one of a version that knew of no identities. That version's restored directories
    /// look the same until they are served: a server takes them, a backup is not made of them.
    case backup(of: StoreIdentity?)
    case unfinishedRestore(of: StoreIdentity?)
    /// Something else, such as this.
    case foreign(FilePath)

    /// What a first start may find in a directory that it is to use: an operator can put the first two there before,
    /// and the journal of the catalog's first change is there when the power went before the catalog. A backup or a
    /// restore brings its own catalog, to which such a journal must not be applied.
    static let foundByFirstStart: Set<String> = ["admin-token", "tls", "catalog.sqlite-journal"]
    private static let namesOfUnused = DataDirectory.namesOfParts.union([
        "lost+found", "catalog.sqlite", DirectoryLabel.fileName + UploadFile.replacementSuffix,
    ])

    /// Looks into a directory.
    ///
    /// - Parameter names: those that may be in it besides, where it is not in use yet.
    init(of path: FilePath, accepting names: Set<String> = []) throws(OperatorError) {
        var status = stat()
        guard stat(path.string, &status) == 0 else {
            guard errno == ENOENT else { throw DataDirectory.unusable(path, errno) }
            self = .missing
            return
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw DataDirectory.unusable(path, ENOTDIR) }
        if let label = try DirectoryLabel(of: path) {
            self = label.kind == .backup ? .backup(of: label.store) : .unfinishedRestore(of: label.store)
            return
        }
        let catalog = DataDirectory.catalog(in: path)
        switch try CatalogHeader(of: catalog) {
        case .log: self = .store
        case .journal: self = .backup(of: nil)
        case .foreign: self = .foreign(catalog)
        case .none: self = try Self.stranger(in: path, beside: names).map { .foreign($0) } ?? .unused
        }
    }

    public init(of path: FilePath) throws(OperatorError) {
        try self.init(of: path, accepting: [])
    }

    /// Something in a directory without a catalog that no start makes before there is one. So are blobs: an operator
    /// who has lost the catalog must not lose them, too, as bytes without a row.
    private static func stranger(in path: FilePath, beside names: Set<String>) throws(OperatorError) -> FilePath? {
        let known = namesOfUnused.union(names)
        if let name = try entries(path).first(where: { !known.contains($0) }) { return path.appending(name) }
        for name in ["uploads", "quarantine"] {
            let directory = path.appending(name)
            if let found = try entries(directory).first(where: { $0 != "probe" }) { return directory.appending(found) }
        }
        let blobs = path.appending("blobs")
        for name in try entries(blobs) {
            let directory = blobs.appending(name)
            guard DataDirectory.isNameOfBlobs(name) else { return directory }
            if let found = try entries(directory).first { return directory.appending(found) }
        }
        return nil
    }

    /// The names in a directory; those in one that is not there, or in no directory, are none.
    private static func entries(_ path: FilePath) throws(OperatorError) -> [String] {
        var status = stat()
        guard stat(path.string, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return [] }
        var names: [String] = []
        do throws(Errno) {
            try Disk.names(in: path) { names.append($0) }
        } catch {
            throw DataDirectory.unusable(path, error.rawValue)
        }
        return names.sorted()
    }
}

extension DirectoryContents {
    /// Why a directory cannot be served as the data of a store; `nil` where it can.
    func refusal(toServe path: FilePath) -> OperatorError? {
        switch self {
        case .missing, .unused, .store, .backup(of: nil): return nil
        case .backup(of: let store):
            return OperatorError(
                "\(path) is \(Self.backupText(path, of: store)), and no data directory: make one of it with "
                    + "'blobd restore \(path) --data NEW', and use that"
            )
        case .unfinishedRestore(of: let store):
            return OperatorError(
                "\(path) holds a restore of \(Self.name(store)) that was interrupted: run 'blobd restore BACKUP --data "
                    + "\(path)' again, and let it come to its end"
            )
        case .foreign(let found) where found.removingLastComponent() == path:
            return OperatorError(
                "\(path) holds other things, such as \(found), and no data of blobd: choose an empty or new directory with "
                    + "--data"
            )
        case .foreign(let found):
            return OperatorError(
                "\(path) holds \(found), and no catalog.sqlite that knows of it: put the catalog back, or restore a backup "
                    + "to an empty or new directory"
            )
        }
    }

    /// Makes sure that a directory is that of a store, for a command that must not make it one.
    public static func requireStore(_ path: FilePath) throws(OperatorError) {
        let contents = try DirectoryContents(of: path)
        switch contents {
        case .store: return
        case .missing, .unused, .foreign:
            throw OperatorError(
                "\(path) is no data directory of blobd: start 'blobd serve --data \(path)' first, or correct --data"
            )
        case .backup(of: nil):
            throw OperatorError(
                "\(path) is a backup of an earlier version, or was restored of one and never served: serve it once if it is "
                    + "what you mean, or correct --data"
            )
        case .backup, .unfinishedRestore:
            if let refusal = contents.refusal(toServe: path) { throw refusal }
        }
    }

    // MARK: For people

    static func name(_ store: StoreIdentity?) -> String {
        store.map { "the store \($0)" } ?? "a store that an earlier version made"
    }

    static func backupText(_ path: FilePath, of store: StoreIdentity?) -> String {
        let generation = (try? StoreVersion(inBackup: path)).map { ", generation \($0.generation)" } ?? ""
        return "a backup of \(name(store))\(generation)"
    }

    static func storeText(_ path: FilePath) -> String {
        "the data directory of " + (StoreVersion(peekingInto: path).map { "the \($0)" } ?? "a store")
    }
}

/// What the first bytes of a catalog's file say (SQLite's file format, "The Database Header").
private enum CatalogHeader {
    /// There is no catalog, or one that was never written to.
    case none
    /// A catalog with a write-ahead log: every one that was ever served.
    case log
    /// A catalog with a rollback journal: one of a backup.
    case journal
    /// Another program's database.
    case foreign

    init(of path: FilePath) throws(OperatorError) {
        let descriptor = Glibc.open(path.string, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw DataDirectory.unusable(path.removingLastComponent(), errno) }
            self = .none
            return
        }
        defer { _ = close(descriptor) }
        var header = [UInt8](repeating: 0, count: 100)
        var status = stat()
        guard fstat(descriptor, &status) == 0, pread(descriptor, &header, header.count, 0) >= 0 else {
            throw DataDirectory.unusable(path.removingLastComponent(), errno)
        }
        guard status.st_size > 0 else {
            self = .none
            return
        }
        let application = header[68..<72].reduce(0) { $0 << 8 | Int($1) }
        // Of a new catalog, all but the first page may be in the log still. Damage is told when it is opened.
        let pageSize = Int(header[16]) << 8 | Int(header[17])
        let mayBeNew = application == 0 && (status.st_size <= (pageSize == 1 ? 65_536 : pageSize) || Self.hasLog(path))
        guard header.starts(with: "SQLite format 3\0".utf8), application != Schema.applicationID, !mayBeNew else {
            self = header[18] == 1 && application == Schema.applicationID ? .journal : .log
            return
        }
        self = .foreign
    }

    private static func hasLog(_ path: FilePath) -> Bool {
        var status = stat()
        return stat(path.string + "-wal", &status) == 0 && status.st_size > 0
    }
}
