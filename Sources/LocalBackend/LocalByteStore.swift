// Bytes on a local disk: one growing file per upload, one immutable file per blob.

public import BlobCore
public import BlobStorage
import Foundation
import Glibc
public import Logging
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
    let disk: Disk
    let replacedFiles: ReplacedFiles
    let room: DiskRoom
    let hidesPresence: Bool

    /// - Parameters:
    ///   - directory: locked by this process.
    ///   - threads: a running pool; its size bounds the calls to the disk at one time.
    ///   - room: of the directory's disk.
    ///   - hidesPresence: whether a blob takes the same steps to publish where it is here already.
    public init(
        directory: DataDirectory, threads: NIOThreadPool, room: DiskRoom, hidesPresence: Bool = false,
        logger: Logger = Logger(label: "blobd.storage")
    ) {
        self.directory = directory
        disk = Disk(logger: logger)
        self.threads = threads
        replacedFiles = ReplacedFiles(threads: threads)
        self.room = room
        self.hidesPresence = hidesPresence
    }

    public func writer(for lease: Lease, expecting: Int64?) async throws(BlobError) -> any UploadWriter {
        try await openingOnThread { () throws(BlobError) in
            // To cut an upload takes no room, and makes some.
            if expecting != 0 { try self.room.require(expecting ?? 0) }
            let file = try UploadFile(lease.upload, in: self.directory, disk: self.disk)
            return LocalUploadWriter(file: file, upload: lease.upload, store: self)
        }
    }

    public func open(_ digest: BlobDigest) async throws(BlobError) -> BlobContent {
        guard let file = try await openFile(at: directory.path(of: digest)) else {
            throw .bytesUnknown
        }
        return .file(file)
    }

    public func close(_ contents: [BlobContent]) {
        threads.submit { _ in withExtendedLifetime(contents) {} }
    }

    /// Opens a file for reading; `nil` when there is none.
    func openFile(at path: FilePath) async throws(BlobError) -> BlobFile? {
        try await openingOnThread { () throws(BlobError) in
            guard let descriptor = try self.disk.openIfThere(path) else { return nil }
            let status: stat
            do throws(BlobError) {
                status = try self.disk.status(of: descriptor, at: path)
            } catch {
                _ = Glibc.close(descriptor)
                throw error
            }
            return BlobFile(takingOwnershipOf: descriptor, size: Int64(status.st_size))
        }
    }

    public func discard(_ id: UploadID) async throws(BlobError) {
        let path = directory.uploads.appending(id.description)
        try await onThread { () throws(BlobError) in
            try self.room.making { () throws(BlobError) in
                try self.disk.unlink(FilePath(path.string + UploadFile.replacementSuffix))
                try self.disk.unlink(path)
            }
        }
    }

    public func remove(_ digest: BlobDigest) async throws(BlobError) {
        let path = directory.path(of: digest)
        try await onThread { () throws(BlobError) in
            try self.room.making { () throws(BlobError) in try self.disk.unlink(path) }
        }
    }

    public func heldUploads() async throws(BlobError) -> [UploadID] {
        let uploads = directory.uploads
        return try await onThread { () throws(BlobError) in
            var held: Set<UploadID> = []
            try self.disk.names(in: uploads) { name in
                if let id = UploadID(parsing: name.prefix { $0 != "." }) { held.insert(id) }
            }
            return Array(held)
        }
    }

    public func heldBlobs(beginningWith byte: UInt8) async throws(BlobError) -> [BlobDigest] {
        let directory = directory.blobs(beginningWith: byte)
        return try await onThread { () throws(BlobError) in
            var held: [BlobDigest] = []
            try self.disk.names(in: directory) { name in
                if let digest = try? BlobDigest(parsing: name), digest.hex == name, digest.bytes.first == byte {
                    held.append(digest)
                }
            }
            return held
        }
    }

    public func checkReadiness() async throws(BlobError) {
        try await onThread { () throws(BlobError) in
            for path in [self.directory.uploads, self.directory.blobs] where access(path.string, W_OK) != 0 {
                throw self.disk.writing(errno, path)
            }
        }
    }

    public func availableBytes() async throws(BlobError) -> Int64? {
        try await onThread { () throws(BlobError) in try self.room.free().bytes }
    }

    public func shortage() async throws(BlobError) -> BlobError.Shortage? {
        try await onThread { () throws(BlobError) in try self.room.shortage() }
    }

    public func requireRoom() async throws(BlobError) {
        if room.wasThereLately { return }
        try await onThread { () throws(BlobError) in try self.room.require(0) }
    }

    // MARK: For the writer

    /// The same as ``onThread(_:)`` for work that opens a file, when one is left for it.
    private func openingOnThread<Value: Sendable>(
        _ work: @escaping @Sendable () throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        try await OpenFileLimit.whenLeft { () async throws(BlobError) in try await onThread(work) }
    }

    /// Runs work that may block on a thread of the pool. Not ended by the caller's cancellation: bytes that arrived are
    /// kept, even when nobody waits for them any more.
    func onThread<Value: Sendable>(
        _ work: @escaping @Sendable () throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        let result: Result<Value, BlobError> = await withCheckedContinuation { continuation in
            threads.submit { state in
                guard state == .active else {
                    continuation.resume(returning: .failure(.stopping))
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

}
