// Bytes on a local disk: one growing file per upload, one immutable file per blob.

public import BlobCore
public import BlobStorage
import Foundation
import Glibc
import Metrics
import NIOCore
public import NIOPosix
import SystemPackage

/// Keeps uploads under `uploads/<id>` and blobs under `blobs/ab/<digest>`.
///
/// All calls to the disk are made on the threads of one pool. A blob's file appears under its name only when its bytes
/// are durable.
public final class LocalByteStore: ByteStore {
    let directory: DataDirectory
    let threads: NIOThreadPool
    private let freeSpaceFloor: Int64

    /// - Parameters:
    ///   - directory: locked by this process.
    ///   - threads: a running pool; its size bounds the calls to the disk at one time.
    ///   - freeSpaceFloor: bytes of the disk that uploads leave free.
    public init(directory: DataDirectory, threads: NIOThreadPool, freeSpaceFloor: Int64) {
        self.directory = directory
        self.threads = threads
        self.freeSpaceFloor = freeSpaceFloor
    }

    public func writer(for upload: Upload, expecting: Int64?) async throws(BlobError) -> any UploadWriter {
        try await onThread { () throws(BlobError) in
            try self.checkFreeSpace(expecting: expecting ?? 0)
            let file = try UploadFile(upload, in: self.directory)
            return LocalUploadWriter(file: file, upload: upload, store: self)
        }
    }

    public func open(_ digest: BlobDigest) async throws(BlobError) -> BlobContent {
        try await onThread { () throws(BlobError) in
            let descriptor = Glibc.open(self.path(of: digest).string, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else {
                throw errno == ENOENT
                    ? BlobError(.blobUnknown, "The blob's bytes are not here.") : DiskError.reading(errno)
            }
            var status = stat()
            guard fstat(descriptor, &status) == 0 else {
                let code = errno
                _ = close(descriptor)
                throw DiskError.reading(code)
            }
            return .file(BlobFile(takingOwnershipOf: descriptor, size: Int64(status.st_size)))
        }
    }

    public func discard(_ id: UploadID) async throws(BlobError) {
        let path = directory.uploads.appending(id.description)
        try await onThread { () throws(BlobError) in
            // An upload that was complete with its first request never had a name. To look costs no lock that threads
            // would queue for, as unlink does.
            for name in [path.string + UploadFile.replacementSuffix, path.string] where access(name, F_OK) == 0 {
                try Self.unlink(FilePath(name))
            }
        }
    }

    public func remove(_ digest: BlobDigest) async throws(BlobError) {
        let path = path(of: digest)
        try await onThread { () throws(BlobError) in try Self.unlink(path) }
    }

    public func heldUploads() async throws(BlobError) -> [UploadID] {
        let uploads = directory.uploads.string
        return try await onThread { () throws(BlobError) in
            guard let stream = opendir(uploads) else { throw DiskError.reading(errno) }
            defer { closedir(stream) }
            var held: Set<UploadID> = []
            while let entry = readdir(stream) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if let id = UploadID(parsing: name.prefix { $0 != "." }) { held.insert(id) }
            }
            return Array(held)
        }
    }

    public func checkReadiness() async throws(BlobError) {
        try await onThread { () throws(BlobError) in
            guard access(self.directory.uploads.string, W_OK) == 0, access(self.directory.blobs.string, W_OK) == 0
            else {
                throw DiskError.writing(errno)
            }
        }
    }

    public func availableBytes() async throws(BlobError) -> Int64? {
        try await onThread { () throws(BlobError) in try self.freeBytes() }
    }

    // MARK: For the writer

    /// - Throws: ``BlobError/Code/insufficientStorage`` when `count` more bytes would not leave the floor free.
    func checkFreeSpace(expecting count: Int64) throws(BlobError) {
        guard freeSpaceFloor > 0 || count > 0 else { return }
        let (left, overflow) = try freeBytes().subtractingReportingOverflow(count)
        guard !overflow, left >= freeSpaceFloor else {
            throw BlobError(
                .insufficientStorage,
                "The disk is too full for these bytes. What was acknowledged is safe; try again later."
            )
        }
    }

    private func freeBytes() throws(BlobError) -> Int64 {
        var status = statvfs()
        guard statvfs(directory.uploads.string, &status) == 0 else { throw DiskError.reading(errno) }
        return Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }

    /// Where a blob's file is: in one of 256 directories, each small enough for its index at a hundred million blobs.
    func path(of digest: BlobDigest) -> FilePath {
        let hex = digest.hex
        return directory.blobs.appending(String(hex.prefix(2))).appending(hex)
    }

    /// Runs work that may block on a thread of the pool. Not ended by the caller's cancellation: bytes that arrived are
    /// kept whoever stopped listening.
    func onThread<Value: Sendable>(
        _ work: @escaping @Sendable () throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        let result: Result<Value, BlobError> = await withCheckedContinuation { continuation in
            threads.submit { state in
                guard state == .active else {
                    continuation.resume(returning: .failure(DiskError.stopping))
                    return
                }
                do throws(BlobError) {
                    continuation.resume(returning: .success(try work()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    private static func unlink(_ path: FilePath) throws(BlobError) {
        guard Glibc.unlink(path.string) == 0 || errno == ENOENT else { throw DiskError.writing(errno) }
    }
}

/// What the disk's errors mean to a client. Paths stay out of messages.
enum DiskError {
    static let stopping = BlobError(.unavailable, "The server is stopping.", detail: .retryAfter(seconds: 5))

    static func reading(_ code: CInt) -> BlobError {
        BlobError(.unavailable, "The store cannot be read: \(reason(code)).", detail: .retryAfter(seconds: 10))
    }

    static func writing(_ code: CInt) -> BlobError {
        switch code {
        case ENOSPC, EDQUOT, EFBIG:
            BlobError(
                .insufficientStorage, "The disk is full. What was acknowledged is safe; try again later."
            )
        default:
            BlobError(.unavailable, "The store cannot be written: \(reason(code)).", detail: .retryAfter(seconds: 10))
        }
    }

    private static func reason(_ code: CInt) -> String {
        code == EMFILE || code == ENFILE ? "too many files are open" : Errno(rawValue: code).description
    }
}
