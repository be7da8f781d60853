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
    /// Whether the file was made by this value, so that its name is not durable yet.
    let isNew: Bool

    /// Opens the upload's file and cuts what it holds past the offset.
    ///
    /// - Throws: ``BlobError/Code/uploadFailed`` when it holds less than was acknowledged.
    init(_ upload: Upload, in directory: DataDirectory) throws(BlobError) {
        let path = directory.uploads.appending(upload.id.description)
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW
        var descriptor = Glibc.open(path.string, flags)
        let isMissing = descriptor < 0 && errno == ENOENT
        // A file that held acknowledged bytes and is gone must not be replaced by an empty one.
        if isMissing && upload.offset > 0 { throw .uploadFailed }
        if isMissing { descriptor = Glibc.open(path.string, flags | O_CREAT | O_EXCL, 0o600) }
        guard descriptor >= 0 else { throw DiskError.writing(errno) }
        self.descriptor = descriptor
        self.path = path
        self.directory = directory
        isNew = isMissing
        guard !isMissing else { return }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DiskError.reading(errno) }
        guard Int64(status.st_size) >= upload.offset else { throw .uploadFailed }
        if Int64(status.st_size) > upload.offset, ftruncate(descriptor, Int(upload.offset)) != 0 {
            throw DiskError.writing(errno)
        }
    }

    deinit {
        // Durability was asked for by sync() where it matters: what close() could report is known already.
        _ = close(descriptor)
    }

    /// Writes all bytes at an offset, or as many as there is room for.
    ///
    /// - Returns: the number of bytes written, and the error when that is not all.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) -> (Int, BlobError?) {
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
