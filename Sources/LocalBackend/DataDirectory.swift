// The data directory: who may use it, and where things are in it.

import BlobCore
public import BlobStorage
import CLinux
import Glibc
public import SystemPackage

/// A data directory, created where it is missing, and locked for this process while the value lives.
public final class DataDirectory: Sendable {
    public let path: FilePath
    /// Whether files may be written before they have a name. Most file systems of Linux can do that (`O_TMPFILE`);
    /// giving them one later also takes a mounted `/proc`.
    let holdsUnnamedFiles: Bool
    let uploadNames: DirectoryNames
    private let blobNames: [DirectoryNames]
    private let lock: CInt
    /// The bytes of its reserve, as they were found, whether the start had to let them go or not.
    let reserveByteCount: Int64

    /// Opens and locks a data directory for a server.
    ///
    /// - Parameter isReadOnly: whether others may count on it that the server changes no uploads and files.
    /// - Throws: when the path is no directory, cannot be written, or another server uses it; and when it holds
    ///   something else than a store or nothing: then nothing is made in it.
    public convenience init(serving path: FilePath, isReadOnly: Bool = false) throws(OperatorError) {
        try self.init(serving: path, isReadOnly: isReadOnly, unnamedFiles: true)
    }

    /// - Parameter unnamedFiles: whether to use files without names where the file system has them.
    convenience init(serving path: FilePath, isReadOnly: Bool = false, unnamedFiles: Bool) throws(OperatorError) {
        let contents = try DirectoryContents(of: path, accepting: DirectoryContents.foundByFirstStart)
        if let refusal = contents.refusal(toServe: path) { throw refusal }
        try self.init(locking: path, isReadOnly: isReadOnly, unnamedFiles: unnamedFiles)
        // A restore may have begun and been killed before the lock was there to be taken.
        guard try DirectoryLabel(of: path) != nil else { return }
        throw OperatorError("\(path) was being restored just now; see whether that came to its end")
    }

    /// Opens and locks a directory that nobody is to serve: a backup, or one that becomes a store by a restore.
    public convenience init(holding path: FilePath) throws(OperatorError) {
        try self.init(locking: path, isReadOnly: false, unnamedFiles: true)
    }

    private init(locking path: FilePath, isReadOnly: Bool, unnamedFiles: Bool) throws(OperatorError) {
        self.path = path
        (uploadNames, blobNames) = Self.names(in: path)
        try Self.makeDirectory(path)
        try Self.requireTrust(in: path)
        (lock, reserveByteCount) = try Self.lock(path, isReadOnly: isReadOnly)
        holdsUnnamedFiles = try Self.makeDirectories(in: path) && unnamedFiles
    }

    /// Makes the directories that are missing, and all of their names durable, those found here too: their maker may
    /// have been killed before.
    ///
    /// - Returns: whether files can be made without a name and be given one.
    private static func makeDirectories(in path: FilePath) throws(OperatorError) -> Bool {
        for directory in directories(in: path) { try makeDirectory(directory) }
        for directory in [path.appending("blobs"), path] { try syncDirectory(directory) }
        // The name of the data directory itself. A process that may not read the directory above it did not make it
        // either.
        let parent = path.removingLastComponent()
        if access(parent.string.isEmpty ? "." : parent.string, R_OK) == 0 { try syncDirectory(parent) }
        return canName(in: path.appending("uploads"))
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

    /// A data directory that another process may be serving: neither made nor locked, and only read.
    public init(visiting path: FilePath) {
        self.path = path
        (uploadNames, blobNames) = Self.names(in: path)
        (lock, reserveByteCount) = (-1, 0)
        holdsUnnamedFiles = false
    }

    /// Whether this process alone may change what is in it.
    var isLocked: Bool { lock >= 0 }

    deinit {
        if lock >= 0 { _ = close(lock) }
    }

    /// A process that serves a data directory.
    public struct Server: Equatable, Sendable {
        public let process: Int32
        /// Whether it changes no uploads and files.
        public let isReadOnly: Bool

        fileprivate static let readOnlyMark = " read-only"

        /// Reads what a server wrote into the lock's file. Behind its line there may be more of an earlier one's.
        fileprivate init?(_ contents: String) {
            let text = contents.prefix { $0 != "\n" }
            isReadOnly = text.hasSuffix(Self.readOnlyMark)
            guard let process = Int32(isReadOnly ? text.dropLast(Self.readOnlyMark.count) : text[...]), process > 0
            else { return nil }
            self.process = process
        }
    }

    /// Lets go of the reserve when the disk is short of room and the directory has no server, which would do so itself:
    /// a token must be revocable on a full disk, too. The next server takes it back.
    public static func makeRoomIfUnserved(in path: FilePath) {
        let descriptor = Glibc.open(path.appending("lock").string, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return }
        defer { _ = close(descriptor) }
        let reserve = DiskReserve(in: path)
        if reserve.isShort, flock(descriptor, LOCK_SH | LOCK_NB) == 0 { reserve.remove() }
    }

    /// The process that serves a data directory; `nil` when there is none.
    public static func server(of path: FilePath) throws(OperatorError) -> Server? {
        let descriptor = Glibc.open(path.appending("lock").string, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        if flock(descriptor, LOCK_SH | LOCK_NB) == 0 { return nil }
        var text = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &text, text.count, 0)
        guard let server = Server(String(decoding: text.prefix(max(0, count)), as: UTF8.self)) else {
            throw OperatorError("the server of \(path) is just starting; try again")
        }
        return server
    }

    public var catalog: FilePath { Self.catalog(in: path) }
    public var uploads: FilePath { path.appending("uploads") }
    public var blobs: FilePath { path.appending("blobs") }
    /// Where the bytes of damaged blobs are kept.
    public var quarantine: FilePath { path.appending("quarantine") }

    /// Where the blobs are whose digests begin with this byte: 256 directories are few enough to be made at the start,
    /// and enough for file systems' indices at a hundred million blobs.
    func blobs(beginningWith byte: UInt8) -> FilePath { blobs.appending(Self.name(of: byte)) }

    private static func names(in path: FilePath) -> (DirectoryNames, [DirectoryNames]) {
        let blobs = path.appending("blobs")
        let names = (UInt8.min...UInt8.max).map { DirectoryNames(of: blobs.appending(name(of: $0))) }
        return (DirectoryNames(of: path.appending("uploads")), names)
    }

    /// The names of blobs whose digests begin as this one's.
    func blobNames(beside digest: BlobDigest) -> DirectoryNames {
        blobNames[Int(digest.bytes.first ?? 0)]
    }

    /// Where a blob's file is.
    func path(of digest: BlobDigest) -> FilePath {
        blobs(beginningWith: digest.bytes.first ?? 0).appending(digest.hex)
    }

    static func name(of byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    /// Whether a directory in `blobs` has a name that blobd gives there.
    static func isNameOfBlobs(_ name: String) -> Bool {
        UInt8(name, radix: 16).map(Self.name(of:)) == name
    }

    /// The directories and files that blobd makes in a data directory, beside its catalog.
    static let namesOfParts: Set<String> = ["lock", "blobs", "uploads", "quarantine", "reserve"]

    /// The directories that every data directory has, those above others first.
    static func directories(in path: FilePath) -> [FilePath] {
        let blobs = path.appending("blobs")
        return [path.appending("uploads"), blobs, path.appending("quarantine")]
            + (UInt8.min...UInt8.max).map { blobs.appending(name(of: $0)) }
    }

    /// The catalog, and what SQLite makes beside it while it is open.
    static func catalogFiles(in path: FilePath) -> [FilePath] {
        ["", "-wal", "-shm"].map { FilePath(catalog(in: path).string + $0) }
    }

    /// Where a data directory has its catalog, also for a process that is not its server.
    public static func catalog(in path: FilePath) -> FilePath { path.appending("catalog.sqlite") }

    /// Takes the lock, and writes into its file who has it. It ends with the process, however that ends.
    ///
    /// - Returns: its descriptor, and the bytes of the directory's reserve.
    private static func lock(_ path: FilePath, isReadOnly: Bool) throws(OperatorError) -> (CInt, Int64) {
        let file = path.appending("lock")
        let descriptor = Glibc.open(file.string, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw unusable(path, errno) }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
            let reserve = DiskReserve(in: path).removedIfShort()
            let server = String(getpid()) + (isReadOnly ? Server.readOnlyMark : "") + "\n"
            // In the place of what an earlier server wrote: a full disk might not give back what is cut off first.
            guard pwrite(descriptor, server, server.utf8.count, 0) > 0,
                ftruncate(descriptor, server.utf8.count) == 0
            else {
                let code = errno
                _ = close(descriptor)
                throw unusable(path, code)
            }
            return (descriptor, reserve)
        }
        let code = errno
        _ = close(descriptor)
        guard code == EWOULDBLOCK else { throw unusable(path, code) }
        throw OperatorError(
            "the data directory \(path) is in use by another server; stop that one, or choose another with --data"
        )
    }

    /// Makes a directory that only this user may enter; one that is there already is taken as it is.
    private static func makeDirectory(_ path: FilePath) throws(OperatorError) {
        if mkdir(path.string, 0o700) == 0 { return }
        let code = errno
        var status = stat()
        guard code == EEXIST, stat(path.string, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw unusable(path, code == EEXIST ? ENOTDIR : code)
        }
    }

    private static func syncDirectory(_ path: FilePath) throws(OperatorError) {
        let name = path.string.isEmpty ? "." : path.string
        let descriptor = Glibc.open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unusable(path, errno) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else { throw unusable(path, errno) }
    }

    static func unusable(_ path: FilePath, _ code: CInt) -> OperatorError {
        OperatorError(
            "the directory \(path) cannot be used: \(Errno(rawValue: code).description); "
                + "check that it is a directory that this user may write"
        )
    }
}
