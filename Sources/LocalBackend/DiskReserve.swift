// Space that a data directory holds back for the time when its disk is full.

import CLinux
import Glibc
import SystemPackage

/// Files under `reserve/` that hold nothing but their space. Only who has the directory's lock may make or remove them.
///
/// Several files, because a disk can be out of files, too: SQLite makes two to open a database.
struct DiskReserve: Sendable {
    static let fileCount = 4

    private let path: FilePath

    init(in data: FilePath) {
        path = data.appending("reserve")
    }

    private var files: [FilePath] { (0..<Self.fileCount).map { path.appending(String($0)) } }

    /// How much space the files hold, in bytes. One that is sparse holds none.
    var byteCount: Int64 {
        files.reduce(0) { count, file in
            var status = stat()
            guard lstat(file.string, &status) == 0 else { return count }
            return count + Int64(status.st_blocks) * 512
        }
    }

    /// Lets the space go.
    ///
    /// - Returns: whether there was any.
    @discardableResult
    func remove() -> Bool {
        guard access(path.string, F_OK) == 0, files.count(where: { unlink($0.string) == 0 }) > 0 else { return false }
        // A journal gives the space to nobody else before the removal is on the disk (ext4).
        let directory = open(path.string, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return true }
        _ = fsync(directory)
        _ = close(directory)
        return true
    }

    /// Lets the space go when less than that is left of the disk: opening a store makes files, and may copy what the
    /// catalog's log holds.
    ///
    /// - Returns: how much there was.
    func removedIfShort() -> Int64 {
        let held = byteCount
        if isShort { remove() }
        return held
    }

    /// Whether there is a reserve, and less than that is left of the disk.
    var isShort: Bool {
        let held = byteCount
        guard held > 0, let free = try? FreeSpace(of: path) else { return false }
        return free.bytes < held || free.files < Int64(Self.fileCount)
    }

    /// Takes hold of space, so that all files together have this much. Where that fails, nothing is held.
    func make(_ byteCount: Int64) throws(Errno) {
        guard mkdir(path.string, 0o700) == 0 || errno == EEXIST else { throw Errno(rawValue: errno) }
        for file in files {
            do throws(Errno) {
                try Self.allocate((byteCount + Int64(Self.fileCount) - 1) / Int64(Self.fileCount), to: file)
            } catch {
                remove()
                throw error
            }
        }
    }

    private static func allocate(_ byteCount: Int64, to file: FilePath) throws(Errno) {
        let descriptor = open(file.string, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        defer { _ = close(descriptor) }
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else { throw Errno(rawValue: errno) }
        if clinux_allocate(descriptor, off_t(byteCount)) != 0 {
            guard [EOPNOTSUPP, ENOSYS, EINVAL].contains(errno) else { throw Errno(rawValue: errno) }
            try write(byteCount, to: descriptor)
        }
        guard fsync(descriptor) == 0 else { throw Errno(rawValue: errno) }
    }

    /// Writes what no file system can make smaller.
    private static func write(_ byteCount: Int64, to descriptor: CInt) throws(Errno) {
        var (offset, random) = (Int64(0), SystemRandomNumberGenerator())
        while offset < byteCount {
            let words = (0..<8192).map { _ in random.next() as UInt64 }
            let result = words.withUnsafeBytes { bytes in
                pwrite(descriptor, bytes.baseAddress, min(bytes.count, Int(byteCount - offset)), off_t(offset))
            }
            if result < 0 && errno == EINTR { continue }
            guard result > 0 else { throw Errno(rawValue: result == 0 ? EIO : errno) }
            offset += Int64(result)
        }
    }
}
