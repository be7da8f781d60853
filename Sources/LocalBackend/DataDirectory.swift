// The data directory: who may use it, and where things are in it.

public import BlobCore
import CLinux
import Glibc
public import SystemPackage

/// A data directory, created where it is missing, and locked for this process while the value lives.
public final class DataDirectory: Sendable {
    public let path: FilePath
    /// Whether files may be written before they have a name. Most file systems of Linux can do that (`O_TMPFILE`); giving
    /// them one later also takes a mounted `/proc`.
    let holdsUnnamedFiles: Bool
    private let lock: CInt

    /// Opens and locks a data directory for a server.
    ///
    /// - Throws: ``BlobError/Code/unavailable`` with a message for the administrator when the path is no directory, cannot
    ///   be written, or another server uses it.
    public convenience init(serving path: FilePath) throws(BlobError) {
        try self.init(serving: path, unnamedFiles: true)
    }

    /// - Parameter unnamedFiles: whether to use files without names where the file system has them.
    init(serving path: FilePath, unnamedFiles: Bool) throws(BlobError) {
        try Self.makeDirectory(path)
        for name in ["uploads", "blobs"] { try Self.makeDirectory(path.appending(name)) }
        guard let lock = try Self.lock(path) else {
            throw BlobError(
                .unavailable,
                "the data directory \(path) is in use by another server; stop that one, or choose another with --data"
            )
        }
        self.path = path
        self.lock = lock
        holdsUnnamedFiles = unnamedFiles && Self.canName(in: path.appending("uploads"))
    }

    /// Tries whether a file can be made without a name and be given one.
    private static func canName(in uploads: FilePath) -> Bool {
        let descriptor = clinux_open_unnamed(uploads.string)
        guard descriptor >= 0 else { return false }
        defer { _ = close(descriptor) }
        let name = uploads.appending("probe").string
        _ = unlink(name)
        defer { _ = unlink(name) }
        return link(descriptor, to: name) == 0
    }

    private static func link(_ descriptor: CInt, to name: String) -> CInt {
        linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno
    }

    /// Gives an open file another name.
    ///
    /// - Parameter path: a name that it has, where it was made with one.
    /// - Returns: 0, or the error number.
    func link(_ descriptor: CInt, at path: FilePath, to target: FilePath) -> CInt {
        if holdsUnnamedFiles { return Self.link(descriptor, to: target.string) }
        return Glibc.link(path.string, target.string) == 0 ? 0 : errno
    }

    deinit {
        _ = close(lock)
    }

    public var catalog: FilePath { Self.catalog(in: path) }
    public var uploads: FilePath { path.appending("uploads") }
    public var blobs: FilePath { path.appending("blobs") }

    /// Where a data directory has its catalog, also for a process that is not its server.
    public static func catalog(in path: FilePath) -> FilePath { path.appending("catalog.sqlite") }

    /// Takes the lock, or returns `nil` when another process has it. The lock ends with the process, however that ends.
    private static func lock(_ path: FilePath) throws(BlobError) -> CInt? {
        let file = path.appending("lock")
        let descriptor = Glibc.open(file.string, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw unusable(path, errno) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
        let code = errno
        _ = close(descriptor)
        guard code == EWOULDBLOCK else { throw unusable(path, code) }
        return nil
    }

    /// Makes a directory that only this user may enter, durably; one that is there already is taken as it is.
    static func makeDirectory(_ path: FilePath) throws(BlobError) {
        if mkdir(path.string, 0o700) == 0 {
            try syncDirectory(path.removingLastComponent())
            return
        }
        let code = errno
        var status = stat()
        guard code == EEXIST, stat(path.string, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw unusable(path, code == EEXIST ? ENOTDIR : code)
        }
    }

    /// Makes the names in a directory durable.
    static func syncDirectory(_ path: FilePath) throws(BlobError) {
        let name = path.string.isEmpty ? "." : path.string
        let descriptor = Glibc.open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unusable(path, errno) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else { throw unusable(path, errno) }
    }

    private static func unusable(_ path: FilePath, _ code: CInt) -> BlobError {
        BlobError(
            .unavailable,
            "the directory \(path) cannot be used: \(Errno(rawValue: code).description); "
                + "check that it is a directory that this user may write"
        )
    }
}
