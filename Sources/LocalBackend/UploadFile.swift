// One upload's growing file, and how it becomes a blob's.

import BlobCore
import BlobStorage
import Glibc
import Metrics
import NIOCore
import SystemPackage

/// An upload's file, open for writing. Every call may block and belongs on a thread of the pool; one at a time.
final class UploadFile: Sendable {
    private let descriptor: CInt
    private let path: FilePath
    private let directory: DataDirectory

    /// Opens the upload's file and cuts what it holds past the offset.
    ///
    /// - Throws: ``BlobError/Code/uploadFailed`` when it holds less than was acknowledged.
    init(_ upload: Upload, in directory: DataDirectory) throws(BlobError) {
        let path = directory.uploads.appending(upload.id.description)
        // A file that held acknowledged bytes and is gone must not be replaced by an empty one.
        var descriptor = try Self.open(path, creating: upload.offset == 0)
        do throws(BlobError) {
            let status = try Self.status(of: descriptor)
            guard Int64(status.st_size) >= upload.offset else { throw .uploadFailed }
            if status.st_nlink > 1 {
                let copy = try Self.copy(upload.offset, from: descriptor, over: path)
                _ = close(descriptor)
                descriptor = copy
            } else if Int64(status.st_size) > upload.offset, ftruncate(descriptor, Int(upload.offset)) != 0 {
                throw DiskError.writing(errno)
            }
        } catch {
            _ = close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.path = path
        self.directory = directory
    }

    private static func open(_ path: FilePath, creating: Bool) throws(BlobError) -> CInt {
        let descriptor = Glibc.open(path.string, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (creating ? O_CREAT : 0), 0o600)
        if descriptor >= 0 { return descriptor }
        throw errno == ENOENT ? .uploadFailed : DiskError.writing(errno)
    }

    private static func status(of descriptor: CInt) throws(BlobError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DiskError.reading(errno) }
        return status
    }

    /// Gives an upload that was published but never completed a file of its own again: what is written to it from now on
    /// must not change the blob that shares its bytes.
    ///
    /// - Returns: the new file's descriptor. Its first `count` bytes are durable before it takes the old one's place.
    private static func copy(_ count: Int64, from source: CInt, over path: FilePath) throws(BlobError) -> CInt {
        let temporary = FilePath(path.string + copySuffix)
        let target = Glibc.open(temporary.string, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard target >= 0 else { throw DiskError.writing(errno) }
        do throws(BlobError) {
            try copy(count, from: source, to: target)
            guard fdatasync(target) == 0, rename(temporary.string, path.string) == 0 else {
                throw DiskError.writing(errno)
            }
            return target
        } catch {
            _ = close(target)
            throw error
        }
    }

    private static func copy(_ count: Int64, from source: CInt, to target: CInt) throws(BlobError) {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while offset < Int(count) {
            let read = pread(source, &buffer, min(buffer.count, Int(count) - offset), offset)
            guard read > 0 else { throw DiskError.reading(read == 0 ? EIO : errno) }
            let (written, error) = buffer.withUnsafeBytes {
                write(UnsafeRawBufferPointer(rebasing: $0[..<read]), to: target, at: Int64(offset))
            }
            if let error { throw error }
            offset += written
        }
    }

    /// Ends the name of a copy that has not taken its upload's place yet.
    static let copySuffix = ".copy"

    deinit {
        // Durability was asked for by sync() where it matters: what close() could report is known already.
        _ = close(descriptor)
    }

    /// Writes all bytes at an offset, or as many as there is room for.
    ///
    /// - Returns: the number of bytes written, and the error when that is not all.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) -> (Int, BlobError?) {
        Self.write(bytes, to: descriptor, at: offset)
    }

    private static func write(
        _ bytes: UnsafeRawBufferPointer, to descriptor: CInt, at offset: Int64
    ) -> (Int, BlobError?) {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, Int(offset) + written)
            if count > 0 {
                written += count
            } else if count == 0 || errno != EINTR {
                return (written, DiskError.writing(count == 0 ? EIO : errno))
            }
        }
        return (written, nil)
    }

    /// Makes the file's bytes durable.
    ///
    /// - Throws: ``BlobError/Code/uploadFailed``: after a failed sync the kernel may have dropped the bytes and call the
    ///   next sync a success, so the file is never trusted again.
    func sync() throws(BlobError) {
        let start = ContinuousClock.now
        var result = fdatasync(descriptor)
        while result != 0 && errno == EINTR { result = fdatasync(descriptor) }
        Self.syncTimer.recordNanoseconds(start.duration(to: .now).nanoseconds)
        guard result == 0 else { throw .uploadFailed }
    }

    /// Makes the file's name under `uploads/` durable.
    func syncName() throws(BlobError) {
        try DataDirectory.syncDirectory(directory.uploads)
    }

    /// Gives the file its second name, under its digest. The first one stays until the upload is discarded, so that a
    /// crash between here and the commit leaves the upload as it was.
    ///
    /// - Parameters:
    ///   - target: the blob's path, in a directory that may have to be made.
    ///   - size: the blob's, in bytes.
    func link(to target: FilePath, size: Int64) throws(BlobError) {
        let parent = target.removingLastComponent()
        if Glibc.link(path.string, target.string) != 0 {
            var code = errno
            if code == ENOENT {
                try DataDirectory.makeDirectory(parent.removingLastComponent())
                try DataDirectory.makeDirectory(parent)
                code = Glibc.link(path.string, target.string) == 0 ? 0 : errno
            }
            if code == EEXIST {
                try replace(target, unlessSize: size)
            } else if code != 0 {
                throw DiskError.writing(code)
            }
        }
        try DataDirectory.syncDirectory(parent)
    }

    /// A blob that is here already stays, unless its file is damaged enough to show by its size.
    private func replace(_ target: FilePath, unlessSize size: Int64) throws(BlobError) {
        var status = stat()
        guard stat(target.string, &status) == 0 else { throw DiskError.reading(errno) }
        guard Int64(status.st_size) != size else { return }
        let temporary = FilePath(target.string + ".new")
        _ = unlink(temporary.string)
        guard Glibc.link(path.string, temporary.string) == 0, rename(temporary.string, target.string) == 0 else {
            throw DiskError.writing(errno)
        }
    }

    private static let syncTimer = Timer(label: "blobd_fsync_duration_seconds")
}

extension Duration {
    fileprivate var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
