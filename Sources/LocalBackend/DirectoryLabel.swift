// The label of a directory that has the form of a data directory and must not be served.

import BlobCore
import BlobStorage
import Glibc
import SystemPackage

/// A file in a backup, or in a directory that a restore has not finished. It is the first thing there and the last to
/// go, so that everything found with it is blobd's own work, however that was interrupted.
struct DirectoryLabel: Equatable {
    enum Kind: String, CaseIterable {
        case backup
        case restore
    }

    static let fileName = "blobd-label"

    let kind: Kind
    /// The store that the backup is of, or that is restored; `nil` where a version made the backup that knew of none.
    let store: StoreIdentity?

    private var text: String {
        """
        blobd \(kind.rawValue)
        store \(store.map(\.description) ?? "unknown")

        """
    }

    /// Reads the label of a directory; `nil` when it has none.
    init?(of directory: FilePath) throws(OperatorError) {
        let path = directory.appending(Self.fileName)
        let descriptor = Glibc.open(path.string, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw DataDirectory.unusable(directory, errno) }
            return nil
        }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { throw DataDirectory.unusable(directory, errno) }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        let name = text.split(separator: "\n").dropFirst().first.map { String($0.dropFirst("store ".count)) }
        let labels = Kind.allCases.map { kind in
            DirectoryLabel(kind: kind, store: name.flatMap(StoreIdentity.init(parsing:)))
        }
        guard let label = labels.first(where: { $0.text == text }) else {
            throw OperatorError(
                "\(path) is no label that this version of blobd knows: use the version that wrote it, or another directory"
            )
        }
        self = label
    }

    init(kind: Kind, store: StoreIdentity?) {
        (self.kind, self.store) = (kind, store)
    }

    /// Puts the label on a directory, durably.
    func put(on directory: FilePath, _ disk: Disk) throws(BlobError) {
        let path = directory.appending(Self.fileName)
        let temporary = FilePath(path.string + UploadFile.replacementSuffix)
        let descriptor = Glibc.open(temporary.string, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw disk.writing(errno, temporary) }
        defer { _ = close(descriptor) }
        let (_, error) = Array(text.utf8).withUnsafeBytes { disk.write([$0], to: descriptor, at: 0, of: temporary) }
        if let error { throw error }
        try disk.syncFile(descriptor, of: temporary)
        try disk.rename(temporary, to: path)
        try disk.syncDirectory(directory)
    }

    /// Takes the label off a directory, durably: from then on it is served like any other.
    static func remove(from directory: FilePath, _ disk: Disk) throws(BlobError) {
        try disk.unlink(directory.appending(fileName))
        try disk.syncDirectory(directory)
    }
}
