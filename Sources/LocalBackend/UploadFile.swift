// One upload's growing file, and how it becomes a blob's.

import BlobCore
import BlobStorage
import CLinux
import Glibc
import NIOCore
import Synchronization
import SystemPackage

/// An upload's file, open for writing. Every call may block and belongs on a thread of the pool; one at a time.
///
/// A new file has no name: most uploads are complete with their first request, and then need none but their blob's. A
/// crash takes it away, which loses nothing that was acknowledged.
final class UploadFile: Sendable {
    private enum Name {
        case none, given, durable
    }

    private struct State {
        var descriptor: CInt
        /// The name under `uploads/`.
        var name: Name
        var isSynced = true
        /// Whether a blob has the same bytes, because a completion published them and could not be recorded.
        var isShared = false
        /// Set by a failed sync. Nothing is tried again after it.
        var isLost = false
    }

    /// Ends the name of a file that has not taken another's place yet.
    static let replacementSuffix = ".new"

    private let path: FilePath
    private let directory: DataDirectory
    private let disk: Disk
    private let state: Mutex<State>

    /// Opens the upload's file and cuts its bytes past the offset.
    ///
    /// - Throws: ``BlobError/Reason/uploadFailed`` when it holds less than was acknowledged.
    init(_ upload: Upload, in directory: DataDirectory, disk: Disk) throws(BlobError) {
        self.directory = directory
        self.disk = disk
        path = directory.uploads.appending(upload.id.description)
        let isUnnamed = upload.offset == 0 && directory.holdsUnnamedFiles
        let descriptor = OpenFileLimit.admitted(
            isUnnamed ? clinux_open_unnamed(directory.uploads.string) : Self.open(path, upload))
        guard descriptor >= 0 else {
            let code = errno
            if disk.isGone(code, path) { throw .uploadFailed }
            throw disk.writing(code, path)
        }
        // The row speaks of bytes only when their file's name was synced.
        state = Mutex(State(descriptor: descriptor, name: isUnnamed ? .none : upload.offset > 0 ? .durable : .given))
        if !isUnnamed { try state.withLock { state throws(BlobError) in try cut(&state, at: upload.offset) } }
    }

    deinit {
        // Durability was asked for where it matters: any error of close() is known already.
        state.withLock { _ = close($0.descriptor) }
    }

    private static func open(_ path: FilePath, _ upload: Upload) -> CInt {
        // A file that held acknowledged bytes and is gone must not be replaced by an empty one.
        let creating = upload.offset == 0 ? O_CREAT : 0
        return Glibc.open(path.string, O_RDWR | O_CLOEXEC | O_NOFOLLOW | creating, 0o600)
    }

    /// The name of a file that has not taken another's place yet. It lies beside the upload's file, so that it is
    /// discarded with that.
    private var temporary: FilePath { FilePath(path.string + Self.replacementSuffix) }

    private func cut(_ state: inout State, at offset: Int64) throws(BlobError) {
        // Left by a crash, and perhaps another name of this very file.
        try disk.unlink(temporary)
        let status = try disk.status(of: state.descriptor, at: path)
        guard Int64(status.st_size) >= offset else { throw .uploadFailed }
        state.isShared = status.st_nlink > 1
        guard Int64(status.st_size) > offset else { return }
        if state.isShared { return try separate(&state, at: offset) }
        guard ftruncate(state.descriptor, Int(offset)) == 0 else { throw disk.writing(errno, path) }
        state.isSynced = false
    }

    /// Gives an upload that was published but never completed a file of its own again: bytes that are written to it
    /// from now on must not change the blob that shares its bytes. The first `count` bytes are durable before it takes
    /// the old one's place.
    private func separate(_ state: inout State, at count: Int64) throws(BlobError) {
        let copy = Glibc.open(temporary.string, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard copy >= 0 else { throw disk.writing(errno, temporary) }
        do throws(BlobError) {
            try disk.copy(count, from: state.descriptor, to: copy, of: path)
            try disk.syncData(copy, of: temporary)
            try disk.rename(temporary, to: path)
        } catch {
            _ = close(copy)
            _ = unlink(temporary.string)
            throw error
        }
        _ = close(state.descriptor)
        state.descriptor = copy
        state.isShared = false
        state.name = .given
    }

    /// Writes all buffers, one after the other, at an offset, or as many bytes as there is room for.
    ///
    /// - Returns: the number of bytes written, and the error when that is not all.
    func write(_ buffers: [ByteBuffer], at offset: Int64) -> (Int, BlobError?) {
        state.withLock { state in
            do throws(BlobError) {
                if state.isShared { try separate(&state, at: offset) }
            } catch {
                return (0, error)
            }
            state.isSynced = false
            return withReadableBytes(of: buffers) {
                disk.write($0, to: state.descriptor, at: offset, of: path)
            }
        }
    }

    /// Whether ``flush()`` has something to do.
    var isFlushed: Bool { state.withLock { $0.isSynced && $0.name == .durable } }

    /// Makes the file's bytes durable, and its name under `uploads/`, which it is given if it has none yet.
    ///
    /// - Throws: ``BlobError/Reason/uploadFailed`` when the disk lost bytes or names, now or before.
    func flush() throws(BlobError) {
        try trusting { state throws(BlobError) in
            try sync(&state)
            if state.name == .durable { return }
            try directory.uploadNames.change(disk) { () throws(BlobError) in
                guard state.name == .none else { return }
                try add(path, to: state)
                try keepUnnamed(state, now: path)
                state.name = .given
            }
            state.name = .durable
        }
    }

    /// Makes the file's bytes durable and gives it a name under their digest, which it takes from a blob that is here
    /// already: of the two the bytes at hand are the better ones, because they were just received and compared. Its
    /// name under `uploads/`, where it has that, stays until the upload is discarded, so that a crash between here and
    /// the commit leaves the upload as it was.
    ///
    /// - Parameter isHiding: whether the steps are the same where a blob is here already and where none is: who may
    ///   upload and not download must not learn it from the time that they take (decision 35).
    /// - Returns: a descriptor of the file that had the name, if one had. Its blocks are freed when it is closed, which
    ///   takes longer than all else here: not before the client has its answer.
    /// - Throws: as ``flush()``.
    func publish(as digest: BlobDigest, hidingPresence isHiding: Bool) throws(BlobError) -> CInt? {
        let target = directory.path(of: digest)
        var replaced: CInt = -1
        do throws(BlobError) {
            try trusting { state throws(BlobError) in
                try sync(&state)
                try directory.blobNames(beside: digest).change(disk) { () throws(BlobError) in
                    if !isHiding, try takesFreeName(target, for: &state) { return }
                    replaced = Glibc.open(target.string, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
                    try place(&state, at: target)
                }
            }
        } catch {
            if replaced >= 0 { _ = close(replaced) }
            throw error
        }
        return replaced >= 0 ? replaced : nil
    }

    /// Runs a step towards durability, unless one has failed.
    private func trusting(_ step: (inout State) throws(BlobError) -> Void) throws(BlobError) {
        try state.withLock { state throws(BlobError) in
            guard !state.isLost else { throw .uploadFailed }
            do throws(BlobError) {
                try step(&state)
            } catch {
                state.isLost = error.reason == .uploadFailed
                throw error
            }
        }
    }

    private func sync(_ state: inout State) throws(BlobError) {
        guard !state.isSynced else { return }
        try disk.syncData(state.descriptor, of: path)
        state.isSynced = true
    }

    /// Gives the file its blob's name in one step, if no blob has it.
    private func takesFreeName(_ target: FilePath, for state: inout State) throws(BlobError) -> Bool {
        guard !state.isShared else { return false }
        let code = directory.link(state.descriptor, at: path, to: target)
        if code == EEXIST { return false }
        guard code == 0 else { throw disk.writing(code, target) }
        state.isShared = true
        try keepUnnamed(state, now: target)
        return true
    }

    /// Gives the file its blob's name, by the same steps whether a blob has that already or not.
    private func place(_ state: inout State, at target: FilePath) throws(BlobError) {
        let own = try disk.status(of: state.descriptor, at: path)
        let isThere = state.isShared && isFile(own, at: target)
        // A name that it was given before a crash, and that may not be on the disk whatever the kernel says: given
        // anew, it will be. Another one, under `uploads/`, holds the file meanwhile; without that, it was given the
        // name by this very writer. A rename would do nothing between two names of one file.
        if isThere, own.st_nlink > 1 { try disk.unlink(target) }
        if !isThere || own.st_nlink > 1 {
            try add(temporary, to: state)
            try disk.rename(temporary, to: target)
            state.isShared = true
        }
        try keepUnnamed(state, now: target)
    }

    /// Gives the file a name that is this upload's alone. A name that is there was left by a crash or an error, and
    /// nothing behind it was acknowledged.
    private func add(_ name: FilePath, to state: State) throws(BlobError) {
        var code = directory.link(state.descriptor, at: path, to: name)
        if code == EEXIST {
            try disk.unlink(name)
            code = directory.link(state.descriptor, at: path, to: name)
        }
        guard code == 0 else { throw disk.writing(code, name) }
    }

    /// A file system may take a file without names for deleted after a power loss, whatever its directory says.
    private func keepUnnamed(_ state: State, now name: FilePath) throws(BlobError) {
        if state.name == .none { try disk.syncFile(state.descriptor, of: name) }
    }

    private func isFile(_ file: stat, at target: FilePath) -> Bool {
        var other = stat()
        return stat(target.string, &other) == 0 && (file.st_dev, file.st_ino) == (other.st_dev, other.st_ino)
    }
}

/// Calls `body` with the readable bytes of all buffers at once.
private func withReadableBytes<Result>(
    of buffers: [ByteBuffer], _ body: ([UnsafeRawBufferPointer]) -> Result
) -> Result {
    // The pointers stay good for as long as the storage is held.
    let parts = buffers.map { buffer in
        buffer.withUnsafeReadableBytesWithStorageManagement { bytes, storage in (bytes, storage.retain()) }
    }
    defer { for (_, storage) in parts { storage.release() } }
    return body(parts.map(\.0))
}
