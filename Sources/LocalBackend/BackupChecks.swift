// What a backup and a restore refuse, before they make or change anything.

public import BlobStorage
import Foundation
import GRDB
import Glibc
public import SystemPackage

extension LocalBackup {
    /// Makes sure that a directory is a backup that can be restored.
    ///
    /// - Returns: the store that it is of; `nil` where the version that made it knew of none.
    static func requireBackup(_ path: FilePath) throws(OperatorError) -> StoreIdentity? {
        switch try DirectoryContents(of: path) {
        case .backup(of: let store):
            guard access(DataDirectory.catalog(in: path).string, F_OK) == 0 else {
                throw OperatorError(
                    "\(path) is a backup that was never finished, and there is none before it: use another"
                )
            }
            return store
        case .missing, .unused, .foreign:
            throw OperatorError("\(path) is no backup of blobd: it has no catalog.sqlite")
        case .store:
            throw OperatorError(
                "\(path) is no backup but \(DirectoryContents.storeText(path)): serve it as it is, or make a backup of it with 'blobd backup'"
            )
        case .unfinishedRestore:
            throw OperatorError(
                "\(path) is no backup, but holds a restore that was interrupted: name the backup")
        }
    }

    /// Which backup a directory is, for people.
    public static func description(of path: FilePath) throws(OperatorError) -> String {
        "\(path) is \(DirectoryContents.backupText(path, of: try requireBackup(path)))"
    }

    func requireApart(_ source: FilePath, _ target: FilePath) throws(OperatorError) {
        guard DirectoryPlace(of: source).overlaps(DirectoryPlace(of: target)) else { return }
        throw OperatorError(
            "\(source) and \(target) are the same directory, or one lies in the other: choose two that are apart"
        )
    }

    /// Makes sure that a backup of a store may go into a directory.
    ///
    /// - Parameters:
    ///   - path: the store's data directory.
    ///   - server: a connection to its catalog.
    func requireTarget(
        _ target: FilePath, of version: StoreVersion, in path: FilePath, _ server: DatabaseQueue
    ) throws {
        switch try DirectoryContents(of: target) {
        case .missing, .unused: return
        case .backup(of: let store):
            guard store == nil || store == version.identity else {
                let origin = store == version.origin ? ", of whose backup it was made" : ""
                throw OperatorError(
                    "\(target) is \(DirectoryContents.backupText(target, of: store)), and \(path) is the \(version)\(origin): choose another "
                        + "directory for its backup"
                )
            }
            let isTheirs = store == nil ? try hasSecret(of: server, target) : true
            guard isTheirs else {
                throw OperatorError(
                    "\(target) is a backup of another store than \(path), the \(version): choose another directory"
                )
            }
            if let held = try StoreVersion(inBackup: target), held.generation > version.generation {
                throw OperatorError(
                    "\(target) is a backup of the \(held), which is newer than \(path), of generation \(version.generation): "
                        + "is this an old copy of the store? Restore the backup, or choose another directory"
                )
            }
        case .store:
            throw OperatorError(
                "\(target) is no backup but \(DirectoryContents.storeText(target)): were the two directories exchanged? Choose an empty or new "
                    + "directory for the backup"
            )
        case .unfinishedRestore:
            throw OperatorError(
                "\(target) holds a restore that was interrupted: choose an empty or new directory for the backup"
            )
        case .foreign(let found):
            throw OperatorError(
                "\(target) holds other things, such as \(found), and is no backup of blobd: choose an empty or new directory"
            )
        }
    }

    /// Makes sure that a backup may be restored to a directory.
    func requireTarget(
        _ target: FilePath, ofRestoring store: StoreIdentity?, from path: FilePath
    ) throws(OperatorError) {
        switch try DirectoryContents(of: target) {
        case .missing, .unused: return
        case .unfinishedRestore(of: let begun):
            guard begun != store else { return }
            throw OperatorError(
                "\(target) holds an interrupted restore of \(DirectoryContents.name(begun)), and \(path) is a backup of \(DirectoryContents.name(store)): go on "
                    + "with that backup, or choose an empty or new directory"
            )
        case .store, .backup(of: nil):
            throw OperatorError(
                "\(target) holds data already, as \(DirectoryContents.storeText(target)): restore to an empty or new directory"
            )
        case .backup(of: let held):
            throw OperatorError(
                "\(target) is \(DirectoryContents.backupText(target, of: held)): restore to an empty or new directory; if the two were "
                    + "exchanged, nothing has happened"
            )
        case .foreign(let found):
            throw OperatorError(
                "\(target) holds other things, such as \(found): restore to an empty or new directory"
            )
        }
    }

    /// Makes sure that no other process works in a directory.
    func requireUnused(_ target: FilePath) throws(OperatorError) {
        guard let other = try DataDirectory.server(of: target) else { return }
        throw OperatorError(
            "\(target) is in use by the process \(other.process): let that end, or choose another directory"
        )
    }

    private func hasSecret(of server: DatabaseQueue, _ target: FilePath) throws -> Bool {
        let secret = "SELECT value FROM meta WHERE name = 'secret'"
        return try database {
            let held = try Self.queue(DataDirectory.catalog(in: target), isReadOnly: true)
            defer { try? held.close() }
            return try server.read { try Data.fetchOne($0, sql: secret) }
                == held.read { try Data.fetchOne($0, sql: secret) }
        }
    }
}

/// Keeps a backup from being changed while it is read. Several can have it. A backup without a file to lock was copied
/// from elsewhere: nobody is at work in it.
final class SharedLock {
    private let descriptor: CInt

    init(on path: FilePath) throws(OperatorError) {
        descriptor = open(path.appending("lock").string, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor < 0 || flock(descriptor, LOCK_SH | LOCK_NB) == 0 else {
            throw OperatorError("\(path) is in use by another process: let that end, and try again")
        }
    }

    deinit {
        if descriptor >= 0 { _ = close(descriptor) }
    }
}
