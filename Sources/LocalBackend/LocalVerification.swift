// A check's work with the bytes on a disk: it reads them, and takes damaged ones out of the way.

public import BlobCore
public import BlobStorage
import CLinux
import Glibc
import SystemPackage

extension LocalByteStore {
    private static let pieceByteCount = 1 << 20

    public func place(of digest: BlobDigest) async throws(BlobError) -> FileIdentity? {
        let path = directory.path(of: digest)
        return try await onThread { () throws(BlobError) in try self.disk.statusIfThere(path).map(FileIdentity.init) }
    }

    public func measure(
        _ digest: BlobDigest, at place: FileIdentity, pace: @Sendable (_ byteCount: Int) async -> Void
    ) async throws(BlobError) -> MeasuredBytes? {
        let path = directory.path(of: digest)
        guard let reader = try await onThread({ () throws(BlobError) in try BlobReader(path, self.disk) }) else {
            return nil
        }
        var state = (digest: RunningDigest(), offset: Int64(0))
        while true {
            let (digest, offset) = state
            let next = try await onThread { () throws(BlobError) in
                try reader.read(Self.pieceByteCount, at: offset, into: digest)
            }
            let count = next.count - offset
            if count == 0 { return MeasuredBytes(size: offset, digest: digest.digest) }
            state = (next, next.count)
            await pace(Int(count))
        }
    }

    public func quarantine(_ digest: BlobDigest, at place: FileIdentity) async throws(BlobError) {
        let (path, quarantine) = (directory.path(of: digest), directory.quarantine)
        try await onThread { () throws(BlobError) in
            guard let status = try self.disk.statusIfThere(path), FileIdentity(status) == place else {
                return
            }
            var target = quarantine.appending(digest.hex)
            // Bytes of the same name may lie there already, from a time before they were uploaded again.
            try self.room.making { () throws(BlobError) in
                for number in 1... {
                    if link(path.string, target.string) == 0 { break }
                    guard errno == EEXIST else { throw self.disk.writing(errno, target) }
                    target = quarantine.appending("\(digest.hex).\(number)")
                }
            }
            try self.disk.syncDirectory(quarantine)
            try self.disk.unlink(path)
            try self.disk.syncDirectory(path.removingLastComponent())
        }
    }

    public func heldByteCount(of id: UploadID) async throws(BlobError) -> Int64? {
        let path = directory.uploads.appending(id.description)
        return try await onThread { () throws(BlobError) in
            try self.disk.statusIfThere(path).map { Int64($0.st_size) }
        }
    }
}

/// The identity that tells the file of one upload from that of another under the same name.
public struct FileIdentity: Equatable, Sendable {
    private let device: UInt
    private let number: UInt

    init(_ status: stat) {
        (device, number) = (UInt(status.st_dev), UInt(status.st_ino))
    }
}

/// A blob's file that is read once, from its beginning to its end.
private final class BlobReader: Sendable {
    private let descriptor: CInt
    private let path: FilePath
    private let disk: Disk

    /// - Returns: `nil` when there is no file.
    init?(_ path: FilePath, _ disk: Disk) throws(BlobError) {
        guard let descriptor = try disk.openIfThere(path) else { return nil }
        self.descriptor = descriptor
        self.path = path
        self.disk = disk
    }

    deinit {
        _ = close(descriptor)
    }

    /// Takes the next bytes into a digest. Bytes that had to be read from the disk do not stay in the page cache, which
    /// is for downloads.
    func read(_ count: Int, at offset: Int64, into digest: RunningDigest) throws(BlobError) -> RunningDigest {
        var digest = digest
        var code: CInt = 0
        withUnsafeTemporaryAllocation(byteCount: count, alignment: 4096) { bytes in
            var read = clinux_read_cached(descriptor, bytes.baseAddress, count, off_t(offset))
            if read != count {
                repeat {
                    read = pread(descriptor, bytes.baseAddress, count, off_t(offset))
                } while read < 0 && errno == EINTR
                code = read < 0 ? errno : 0
                _ = posix_fadvise(descriptor, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
            }
            digest.update(UnsafeRawBufferPointer(rebasing: bytes[..<max(0, read)]))
        }
        guard code == 0 else { throw disk.reading(code, path) }
        return digest
    }
}
