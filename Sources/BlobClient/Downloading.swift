// Downloading, as an app asks for it.

public import BlobCore
import Foundation
public import NIOCore
import NIOPosix
import Synchronization
public import SystemPackage

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

extension BlobServiceClient {
    /// Downloads a blob into a file.
    ///
    /// The bytes go to a hidden file beside the target, which a later call with the same digest goes on with. Only when
    /// all of them are there, compared with the digest, and on the disk, does it take the target's name.
    ///
    /// - Parameter progress: is told what happens, from any thread, one call at a time.
    public func download(
        _ digest: BlobDigest, to path: FilePath, progress: @escaping @Sendable (TransferEvent) -> Void = { _ in }
    ) async throws {
        let target = try await NIOThreadPool.singleton.runIfActive { try PartialFile(of: digest, for: path) }
        var run = DownloadRun(
            calls: calls, digest: digest, configuration: configuration, received: target.digest, tell: progress,
            write: { try await target.write($0) }, clear: { try await target.clear() },
            requireRoom: { try await target.requireRoom(for: $0) })
        do {
            try await run.run()
        } catch {
            if case BlobClientError.wrongDigest = error { try? await target.clear() }
            target.removeIfEmpty()
            throw error
        }
        try await target.publish()
    }

    /// Downloads a blob piece by piece. That the bytes are right is known only when the call has returned.
    ///
    /// - Parameter write: takes the next bytes; the following ones wait for it.
    public func download(
        _ digest: BlobDigest, progress: @escaping @Sendable (TransferEvent) -> Void = { _ in },
        write: @escaping @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        var run = DownloadRun(
            calls: calls, digest: digest, configuration: configuration, received: CountingDigest(), tell: progress,
            write: write, clear: nil)
        try await run.run()
    }

    /// Downloads a part of a blob piece by piece. Nothing says that the bytes are right: the digest is of all of them.
    ///
    /// - Parameter range: of bytes that the blob has.
    public func download(
        _ digest: BlobDigest, range: Range<Int64>, progress: @escaping @Sendable (TransferEvent) -> Void = { _ in },
        write: @escaping @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        guard !range.isEmpty else { return }
        var run = DownloadRun(
            calls: calls, digest: digest, part: range, configuration: configuration, received: CountingDigest(),
            tell: progress, write: write, clear: nil)
        try await run.run()
    }
}

/// The file that holds a download until it is complete. One process at a time goes on with it; another one downloads
/// into a file of its own.
private final class PartialFile: Sendable {
    private let target: FilePath
    private let path: FilePath
    private let descriptor: CInt
    private let count: Mutex<Int64>
    /// Of what an earlier run has left.
    let digest: CountingDigest

    init(of blob: BlobDigest, for target: FilePath) throws {
        self.target = target
        // With its suffix it has to stay a name: at most 255 bytes.
        var start = (target.lastComponent?.string ?? "")[...]
        while start.utf8.count > 200 { start.removeLast() }
        let name = ".\(start).\(blob.hex.prefix(16)).part"
        let common = target.removingLastComponent().appending(name)
        if let descriptor = Self.lock(common, O_CREAT) {
            (path, self.descriptor) = (common, descriptor)
        } else {
            let own = name + "." + String(UInt64.random(in: 0 ... .max), radix: 16)
            path = target.removingLastComponent().appending(own)
            guard let descriptor = Self.lock(path, O_CREAT | O_EXCL) else {
                throw BlobClientError.file(
                    path: target.string, problem: "cannot be written to: \(Errno(rawValue: errno))")
            }
            self.descriptor = descriptor
        }
        digest = Self.digest(of: descriptor)
        count = Mutex(digest.count)
    }

    deinit {
        close(descriptor)
    }

    private static func lock(_ path: FilePath, _ creating: CInt) -> CInt? {
        while true {
            let descriptor = path.withPlatformString { open($0, O_RDWR | O_CLOEXEC | O_NOFOLLOW | creating, 0o666) }
            guard descriptor >= 0 else { return nil }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                close(descriptor)
                return nil
            }
            // Whoever had the lock before may have published the file meanwhile: then it is nobody's part any more.
            var (own, named) = (stat(), stat())
            if fstat(descriptor, &own) == 0, path.withPlatformString({ stat($0, &named) }) == 0,
                (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino)
            {
                return descriptor
            }
            close(descriptor)
        }
    }

    private static func digest(of descriptor: CInt) -> CountingDigest {
        var digest = CountingDigest()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(digest.count))
            guard count > 0 else { return digest }
            buffer.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    func write(_ bytes: ByteBuffer) async throws {
        try await onDisk { [self] in
            try count.withLock { count in
                count += Int64(
                    try bytes.withUnsafeReadableBytes {
                        try FileDescriptor(rawValue: descriptor).writeAll(toAbsoluteOffset: count, $0)
                    })
            }
        }
    }

    /// - Throws: ``BlobClientError/file(path:problem:)`` where the disk has less room than that left.
    func requireRoom(for count: Int64) async throws {
        let left = try await NIOThreadPool.singleton.runIfActive { [descriptor] () -> Int64? in
            var disk = statvfs()
            // Some file systems that are no disks tell nothing.
            guard fstatvfs(descriptor, &disk) == 0, disk.f_blocks > 0 else { return nil }
            let (bytes, isMore) = UInt64(disk.f_bavail).multipliedReportingOverflow(by: UInt64(disk.f_frsize))
            return isMore ? nil : Int64(clamping: bytes)
        }
        guard let left, count > left else { return }
        throw BlobClientError.file(
            path: target.string, problem: "needs \(count) more bytes, and its disk has \(left) left: make room")
    }

    /// Drops everything that is here.
    func clear() async throws {
        try await onDisk { [self] in
            guard ftruncate(descriptor, 0) == 0 else { throw Errno(rawValue: errno) }
            count.withLock { $0 = 0 }
        }
    }

    func removeIfEmpty() {
        if count.withLock({ $0 }) == 0 { path.withPlatformString { _ = unlink($0) } }
    }

    /// Gives the file its name, now that its bytes are on the disk.
    func publish() async throws {
        try await onDisk { [self] in
            let isNamed =
                fsync(descriptor) == 0
                && path.withPlatformString { path in target.withPlatformString { rename(path, $0) } } == 0
            guard isNamed else { throw Errno(rawValue: errno) }
        }
    }

    private func onDisk(_ work: @escaping @Sendable () throws -> Void) async throws {
        do {
            try await NIOThreadPool.singleton.runIfActive(work)
        } catch let error as Errno {
            throw BlobClientError.file(path: target.string, problem: "cannot be written to: \(error)")
        }
    }
}
