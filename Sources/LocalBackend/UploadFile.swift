// One upload's growing file, and how it becomes a blob's.

import BlobCore
import BlobStorage
import CLinux
import Glibc
import Metrics
import NIOCore
import Synchronization
import SystemPackage

/// An upload's file, open for writing. Every call may block and belongs on a thread of the pool; one at a time.
///
/// A new file has no name: most uploads are complete with their first request, and then need none but their blob's. A
/// crash takes it away, which loses nothing that was acknowledged.
final class UploadFile: Sendable {
    private let descriptor: CInt
    private let path: FilePath
    private let directory: DataDirectory
    private let isNamed: Mutex<Bool>

    /// Opens the upload's file and cuts what it holds past the offset.
    ///
    /// - Throws: ``BlobError/Code/uploadFailed`` when it holds less than was acknowledged.
    init(_ upload: Upload, in directory: DataDirectory) throws(BlobError) {
        self.directory = directory
        path = directory.uploads.appending(upload.id.description)
        let startsUnnamed = upload.offset == 0 && directory.holdsUnnamedFiles
        isNamed = Mutex(!startsUnnamed)
        if startsUnnamed {
            descriptor = clinux_open_unnamed(directory.uploads.string)
            guard descriptor >= 0 else { throw DiskError.writing(errno) }
        } else {
            descriptor = try Self.reopen(path, at: upload.offset)
        }
    }

    private static func reopen(_ path: FilePath, at offset: Int64) throws(BlobError) -> CInt {
        // A file that held acknowledged bytes and is gone must not be replaced by an empty one.
        let creating = offset == 0 ? O_CREAT : 0
        let descriptor = Glibc.open(path.string, O_RDWR | O_CLOEXEC | O_NOFOLLOW | creating, 0o600)
        guard descriptor >= 0 else { throw errno == ENOENT ? .uploadFailed : DiskError.writing(errno) }
        do throws(BlobError) {
            let status = try status(of: descriptor)
            guard Int64(status.st_size) >= offset else { throw .uploadFailed }
            if status.st_nlink > 1 {
                let copy = try copy(offset, from: descriptor, over: path)
                _ = close(descriptor)
                return copy
            }
            if Int64(status.st_size) > offset, ftruncate(descriptor, Int(offset)) != 0 {
                throw DiskError.writing(errno)
            }
            return descriptor
        } catch {
            _ = close(descriptor)
            throw error
        }
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
        let temporary = FilePath(path.string + replacementSuffix)
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

    /// Ends the name of a file that has not taken another's place yet.
    static let replacementSuffix = ".new"

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

    /// Gives the file its name under `uploads/`, if it has none yet, and makes that durable.
    func keepName() throws(BlobError) {
        try isNamed.withLock { isNamed throws(BlobError) in
            if isNamed { return }
            let isFree = try link(to: path)
            // A name that is there was left by a crash or an error before any of its bytes was acknowledged.
            if !isFree { try replace(path) }
            isNamed = true
        }
        try DataDirectory.syncDirectory(directory.uploads)
    }

    /// Gives the file a name under its digest. The one under `uploads/`, where it has that, stays until the upload is
    /// discarded, so that a crash between here and the commit leaves the upload as it was.
    ///
    /// - Parameters:
    ///   - target: the blob's path, in a directory that may have to be made.
    ///   - size: the blob's, in bytes.
    func publish(at target: FilePath, size: Int64) throws(BlobError) {
        let parent = target.removingLastComponent()
        let isNew = try link(to: target)
        if !isNew {
            // A blob that is here already stays, unless its file is damaged enough to show by its size.
            var status = stat()
            guard stat(target.string, &status) == 0 else { throw DiskError.reading(errno) }
            if Int64(status.st_size) != size { try replace(target) }
        }
        try DataDirectory.syncDirectory(parent)
    }

    /// Gives the file a name.
    ///
    /// - Returns: whether the name was free.
    private func link(to target: FilePath) throws(BlobError) -> Bool {
        var code = directory.link(descriptor, at: path, to: target)
        if code == ENOENT {
            try DataDirectory.makeDirectory(target.removingLastComponent())
            code = directory.link(descriptor, at: path, to: target)
        }
        guard code == 0 || code == EEXIST else { throw DiskError.writing(code) }
        return code == 0
    }

    private func replace(_ target: FilePath) throws(BlobError) {
        let temporary = FilePath(target.string + Self.replacementSuffix)
        _ = unlink(temporary.string)
        guard try link(to: temporary), rename(temporary.string, target.string) == 0 else {
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
