// The system calls that the byte store is made of, and what their errors mean.

import BlobCore
import BlobStorage
import Glibc
import Logging
import Metrics
import SystemPackage

/// Calls the disk, and turns its errors into facts, and into what an operator finds in the log: paths go there alone.
/// Every call may block.
struct Disk: Sendable {
    let logger: Logger

    // MARK: Durability

    /// Makes a file's bytes durable, and the metadata without which they cannot be read back.
    ///
    /// - Throws: ``BlobError/Reason/uploadFailed``: after a failed sync the kernel may have dropped the bytes and call
    ///   the next sync a success, so the file is never trusted again.
    func syncData(_ descriptor: CInt, of path: FilePath) throws(BlobError) {
        try sync(path) { fdatasync(descriptor) }
    }

    /// The same, with the number of the file's names.
    func syncFile(_ descriptor: CInt, of path: FilePath) throws(BlobError) {
        try sync(path) { fsync(descriptor) }
    }

    /// Makes the names in a directory durable.
    func syncDirectory(_ path: FilePath) throws(BlobError) {
        let descriptor = Glibc.open(path.string, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw writing(errno, path) }
        defer { _ = close(descriptor) }
        try sync(path) { fsync(descriptor) }
    }

    private func sync(_ path: FilePath, _ call: () -> CInt) throws(BlobError) {
        let start = ContinuousClock.now
        var result = call()
        while result != 0 && errno == EINTR { result = call() }
        let code = errno
        syncTimer.record(duration: start.duration(to: .now))
        guard result != 0 else { return }
        logger.critical("The disk lost what was to be synced", metadata: metadata(code, path))
        throw .uploadFailed
    }

    private let syncTimer = Timer(label: "blobd_fsync_duration_seconds")

    // MARK: Bytes

    /// Writes all parts, one after the other, at an offset, or as many bytes as there is room for.
    ///
    /// - Returns: the number of bytes written, and the error when that is not all.
    func write(
        _ parts: [UnsafeRawBufferPointer], to descriptor: CInt, at offset: Int64, of path: FilePath
    ) -> (Int, BlobError?) {
        var rest = parts.map { iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count) }[
            ...]
        var (written, count) = (0, parts.reduce(0) { $0 + $1.count })
        while count > 0 {
            let result = rest.prefix(Self.mostParts).withUnsafeBufferPointer {
                pwritev(descriptor, $0.baseAddress, CInt($0.count), Int(offset) + written)
            }
            if result > 0 {
                written += result
                count -= result
                Self.drop(result, from: &rest)
            } else if result == 0 || errno != EINTR {
                return (written, writing(result == 0 ? EIO : errno, path))
            }
        }
        return (written, nil)
    }

    /// The most parts that the kernel takes with one call: UIO_MAXIOV of readv(2).
    private static let mostParts = 1024

    private static func drop(_ byteCount: Int, from parts: inout ArraySlice<iovec>) {
        var left = byteCount
        while let first = parts.first, first.iov_len <= left {
            left -= first.iov_len
            parts.removeFirst()
        }
        guard left > 0 else { return }
        parts[parts.startIndex].iov_base += left
        parts[parts.startIndex].iov_len -= left
    }

    /// Copies the first bytes of one file into another, or all of them.
    ///
    /// - Returns: the digest of the copied bytes.
    @discardableResult
    func copy(
        _ count: Int64? = nil, from source: CInt, to target: CInt, of path: FilePath
    ) throws(BlobError) -> BlobDigest {
        var (digest, offset) = (RunningDigest(), Int64(0))
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while offset != count {
            let wanted = count.map { Int(min($0 - offset, Int64(buffer.count))) } ?? buffer.count
            let read = pread(source, &buffer, wanted, off_t(offset))
            if read < 0 && errno == EINTR { continue }
            guard read >= 0 else { throw reading(errno, path) }
            if read == 0 {
                if count != nil { throw reading(EIO, path) }
                break
            }
            let (_, error) = buffer.withUnsafeBytes { bytes in
                let bytes = UnsafeRawBufferPointer(rebasing: bytes[..<read])
                digest.update(bytes)
                return write([bytes], to: target, at: offset, of: path)
            }
            if let error { throw error }
            offset += Int64(read)
        }
        return digest.digest
    }

    func status(of descriptor: CInt, at path: FilePath) throws(BlobError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw reading(errno, path) }
        return status
    }

    // MARK: Names

    func rename(_ path: FilePath, to target: FilePath) throws(BlobError) {
        guard Glibc.rename(path.string, target.string) == 0 else { throw writing(errno, target) }
    }

    /// Removes a name, if it is there. Looks first: unlike `unlink`, that takes no lock for which threads would queue.
    func unlink(_ path: FilePath) throws(BlobError) {
        if access(path.string, F_OK) != 0 && errno == ENOENT { return }
        guard Glibc.unlink(path.string) == 0 || errno == ENOENT else { throw writing(errno, path) }
    }

    /// Calls `body` with each name in a directory but `.` and `..`, in no order.
    func names(in directory: FilePath, _ body: (String) -> Void) throws(BlobError) {
        do throws(Errno) {
            try Self.names(in: directory, body)
        } catch {
            throw reading(error.rawValue, directory)
        }
    }

    static func names(in directory: FilePath, _ body: (String) -> Void) throws(Errno) {
        guard let stream = opendir(directory.string) else { throw Errno(rawValue: errno) }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw Errno(rawValue: errno) }
                return
            }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { body(name) }
        }
    }

    /// The names in a directory that holds few.
    func names(in directory: FilePath) throws(BlobError) -> [String] {
        var names: [String] = []
        try self.names(in: directory) { names.append($0) }
        return names
    }

    /// Whether an error says that a file is not there. Without its directory it may be on a disk that is away: then
    /// nothing says so.
    func isGone(_ code: CInt, _ path: FilePath) -> Bool {
        code == ENOENT && access(path.removingLastComponent().string, F_OK) == 0
    }

    /// - Returns: `nil` when there is no such file.
    func statusIfThere(_ path: FilePath) throws(BlobError) -> stat? {
        var status = stat()
        if stat(path.string, &status) == 0 { return status }
        let code = errno
        guard isGone(code, path) else { throw reading(code, path) }
        return nil
    }

    /// Opens a file for reading.
    ///
    /// - Returns: its descriptor; `nil` when there is no such file.
    func openIfThere(_ path: FilePath) throws(BlobError) -> CInt? {
        let descriptor = OpenFileLimit.admitted(Glibc.open(path.string, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))
        if descriptor >= 0 { return descriptor }
        let code = errno
        guard isGone(code, path) else { throw reading(code, path) }
        return nil
    }

    // MARK: Errors

    func reading(_ code: CInt, _ path: FilePath) -> BlobError {
        logger.error("The disk cannot be read", metadata: metadata(code, path))
        return BlobError(.unavailable(.storeUnreadable(errno: code)))
    }

    func writing(_ code: CInt, _ path: FilePath) -> BlobError {
        logger.error("The disk cannot be written", metadata: metadata(code, path))
        switch code {
        case ENOSPC, EDQUOT, EFBIG: return BlobError(.insufficientStorage(.disk))
        default: return BlobError(.unavailable(.storeUnwritable(errno: code)))
        }
    }

    private func metadata(_ code: CInt, _ path: FilePath) -> Logger.Metadata {
        // A limit says nothing about the file that met it, and one line for all of them can be folded.
        if let advice = OpenFileLimit.advice(for: code) {
            return ["error": "\(advice)", "errno": .stringConvertible(code)]
        }
        return [
            "path": "\(path)", "error": "\(Errno(rawValue: code).description)", "errno": .stringConvertible(code),
        ]
    }
}
