// Where an upload's bytes come from, and their digest as they are read.

import BlobCore
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import SystemPackage

/// Bytes that can be read more than once, from the last offset that is safe on the server on. Used by one upload, one
/// call at a time.
protocol UploadSource: Sendable {
    /// The number of all bytes, where it is known before the end.
    var size: Int64? { get }

    /// How many bytes there are from an offset on, at most `limit`, and whether they are the last.
    func available(from offset: Int64, limit: Int64) async throws -> (count: Int64, isLast: Bool)

    /// The bytes from an offset on, at most `count` and at least one.
    func read(at offset: Int64, count: Int) async throws -> ByteBuffer

    /// The digest of all bytes, once they have been read to their end.
    ///
    /// - Throws: ``BlobClientError/fileChanged(path:)`` when they were not in the file at one time.
    func wholeDigest() async throws -> BlobDigest

    /// Bytes before the offset are safe on the server.
    func release(before offset: Int64)

    /// Makes everything from the beginning readable again, and the digest begin anew.
    func rewind() throws
}

/// The marks by which one state of a file is told from another.
struct FileIdentity: Codable, Equatable, Sendable {
    enum Likeness {
        case same
        /// Whether the bytes are the same, reading them tells alone.
        case perhaps
        case different
    }

    var size: Int64
    var inode: UInt64
    var device: UInt64
    /// The time of the last change of its bytes, in nanoseconds since 1970. Any writer may set it back, as `rsync -t`
    /// and `cp -p` do.
    var changed: Int64
    /// The time of the last change of anything about it, in nanoseconds since 1970; nobody can set it. `chmod`, a link
    /// and another name move it too. `nil` in notes of earlier versions.
    var statusChanged: Int64?

    func likeness(to other: FileIdentity) -> Likeness {
        guard (size, inode, device, changed) == (other.size, other.inode, other.device, other.changed) else {
            return .different
        }
        return statusChanged != nil && statusChanged == other.statusChanged ? .same : .perhaps
    }
}

/// A file on a disk.
final class FileSource: UploadSource {
    let path: FilePath
    let identity: FileIdentity
    private let descriptor: SystemPackage.FileDescriptor
    /// Of the bytes from the first on; those that are read again are not counted again.
    private let digest: Mutex<CountingDigest>
    private let note = Mutex<(@Sendable (CountingDigest) -> Void)?>(nil)
    /// Is told how far bytes have been read that are not sent now, and how far they will be.
    private let tellReading: @Sendable (_ position: Int64, _ end: Int64) -> Void

    /// Bytes that are read for the digest between two chances to cancel it.
    private static let stepByteCount: Int64 = 16 << 20

    var size: Int64? { identity.size }

    init(
        path: FilePath, tellReading: @escaping @Sendable (_ position: Int64, _ end: Int64) -> Void = { _, _ in }
    ) throws(BlobClientError) {
        (self.path, self.tellReading) = (path, tellReading)
        let descriptor: SystemPackage.FileDescriptor
        do {
            descriptor = try SystemPackage.FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
        } catch {
            throw .file(path: path.string, problem: "cannot be opened: \(error)")
        }
        do throws(BlobClientError) {
            identity = try Self.identity(of: descriptor, path)
        } catch {
            try? descriptor.close()
            throw error
        }
        self.descriptor = descriptor
        digest = Mutex(CountingDigest())
    }

    deinit {
        try? descriptor.close()
    }

    private static func identity(of descriptor: SystemPackage.FileDescriptor, _ path: FilePath) throws(BlobClientError)
        -> FileIdentity
    {
        let status: Stat
        do {
            status = try descriptor.stat()
        } catch {
            throw .file(path: path.string, problem: "\(error)")
        }
        guard status.type == .regular else {
            throw .file(path: path.string, problem: "is no regular file")
        }
        return FileIdentity(
            size: status.size, inode: UInt64(status.inode.rawValue), device: UInt64(status.deviceID.rawValue),
            changed: nanoseconds(status.st_mtim), statusChanged: nanoseconds(status.st_ctim)
        )
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Whether the file begins with the bytes that an earlier run has noted. They are read once, also for the digest of
    /// the whole.
    func begins(with noted: JournalRecord.Beginning) async throws -> Bool {
        guard (0...identity.size).contains(noted.byteCount) else { return false }
        try await catchUp(to: noted.byteCount)
        if digest.withLock({ $0.digest.hex }) == noted.digest { return true }
        rewind()
        return false
    }

    /// - Parameter note: is told the digest as it grows, on a thread that may block.
    func noteDigest(_ note: @escaping @Sendable (CountingDigest) -> Void) {
        self.note.withLock { $0 = note }
    }

    /// Bytes before the offset that the digest does not have yet are read for it first.
    func available(from offset: Int64, limit: Int64) async throws -> (count: Int64, isLast: Bool) {
        try await catchUp(to: offset)
        let rest = identity.size - offset
        return (min(limit, rest), rest <= limit)
    }

    func read(at offset: Int64, count: Int) async throws -> ByteBuffer {
        try await NIOThreadPool.singleton.runIfActive { [self] in
            try digest.withLock { digest in
                try catchUp(to: offset, &digest)
                let buffer = try readHere(at: offset, count: count, &digest)
                note.withLock { $0 }?(digest)
                return buffer
            }
        }
    }

    func wholeDigest() async throws -> BlobDigest {
        try await catchUp(to: identity.size)
        let whole = digest.withLock { $0.digest }
        let now = try Self.identity(of: descriptor, path)
        switch now.likeness(to: identity) {
        case .same: return whole
        case .different: throw BlobClientError.fileChanged(path: path.string)
        case .perhaps:
            // Nobody wrote to it while it is read again: then its bytes are these.
            rewind()
            try await catchUp(to: identity.size)
            guard digest.withLock({ $0.digest }) == whole, try Self.identity(of: descriptor, path) == now else {
                throw BlobClientError.fileChanged(path: path.string)
            }
            return whole
        }
    }

    /// Reads the bytes up to an offset for the digest, in steps between which it can be cancelled.
    private func catchUp(to offset: Int64) async throws {
        while true {
            let position = try await NIOThreadPool.singleton.runIfActive { [self] in
                try digest.withLock { digest in
                    try catchUp(to: min(offset, digest.count + Self.stepByteCount), &digest)
                    note.withLock { $0 }?(digest)
                    return digest.count
                }
            }
            guard position < offset else { return }
            try Task.checkCancellation()
            tellReading(position, offset)
        }
    }

    private func catchUp(to offset: Int64, _ digest: inout CountingDigest) throws {
        while digest.count < offset {
            _ = try readHere(at: digest.count, count: Int(min(offset - digest.count, 1 << 20)), &digest)
        }
    }

    private func readHere(at offset: Int64, count: Int, _ digest: inout CountingDigest) throws -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        var failure: (any Error)?
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
            do {
                return try descriptor.read(
                    fromAbsoluteOffset: offset, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]))
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw BlobClientError.file(path: path.string, problem: "cannot be read: \(failure)") }
        // It has become shorter.
        guard buffer.readableBytes > 0 else { throw BlobClientError.fileChanged(path: path.string) }
        let known = digest.count - offset
        if known < Int64(buffer.readableBytes) {
            buffer.withUnsafeReadableBytes {
                digest.update(UnsafeRawBufferPointer(rebasing: $0[Int(max(0, known))...]))
            }
        }
        return buffer
    }

    func release(before offset: Int64) {}

    func rewind() {
        digest.withLock { $0 = CountingDigest() }
    }
}

/// Bytes that come once. Those that are not safe on the server yet are kept in memory.
final class StreamSource: UploadSource {
    private struct State {
        var digest = CountingDigest()
        var held = ByteBuffer()
        /// The offset of the first byte that is held.
        var start: Int64 = 0
        var isAtEnd = false
    }

    private let next: @Sendable () async throws -> ByteBuffer?
    private let state = Mutex(State())

    var size: Int64? { state.withLock { $0.isAtEnd ? $0.start + Int64($0.held.readableBytes) : nil } }

    /// - Parameter next: the next bytes; `nil` after the last.
    init(next: @escaping @Sendable () async throws -> ByteBuffer?) {
        self.next = next
    }

    func wholeDigest() async throws -> BlobDigest { state.withLock { $0.digest.digest } }

    func available(from offset: Int64, limit: Int64) async throws -> (count: Int64, isLast: Bool) {
        while true {
            let (count, isAtEnd) = try state.withLock { state in
                guard offset >= state.start else { throw BlobClientError.streamLost }
                return (state.start + Int64(state.held.readableBytes) - offset, state.isAtEnd)
            }
            if isAtEnd || count >= limit { return (min(count, limit), isAtEnd && count <= limit) }
            let bytes = try await next()
            state.withLock { state in
                guard let bytes else { return state.isAtEnd = true }
                bytes.withUnsafeReadableBytes { state.digest.update($0) }
                state.held.writeImmutableBuffer(bytes)
            }
        }
    }

    func read(at offset: Int64, count: Int) async throws -> ByteBuffer {
        try state.withLock { state in
            let skipped = Int(offset - state.start)
            let length = min(count, state.held.readableBytes - skipped)
            guard skipped >= 0, length > 0,
                let slice = state.held.getSlice(at: state.held.readerIndex + skipped, length: length)
            else { throw BlobClientError.streamLost }
            return slice
        }
    }

    func release(before offset: Int64) {
        state.withLock { state in
            let count = Int(min(offset - state.start, Int64(state.held.readableBytes)))
            guard count > 0 else { return }
            state.held.moveReaderIndex(forwardBy: count)
            state.held.discardReadBytes()
            state.start += Int64(count)
        }
    }

    func rewind() throws {
        // The digest stays: it is of bytes that will not be read again.
        guard state.withLock({ $0.start == 0 }) else { throw BlobClientError.streamLost }
    }
}

/// The bytes of one request, read one step ahead of the network.
///
/// The last read ahead may still be running when the request is over: it does no harm to the source.
struct PieceBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let source: any UploadSource
    let range: Range<Int64>
    /// Is told how far the network has taken the bytes.
    let moved: @Sendable (Int64) -> Void

    private static let stepByteCount: Int64 = 256 << 10

    struct AsyncIterator: AsyncIteratorProtocol {
        let body: PieceBody
        var position: Int64
        var ahead: Task<ByteBuffer, any Error>?

        mutating func next() async throws -> ByteBuffer? {
            body.moved(position)
            guard position < body.range.upperBound else { return nil }
            let buffer = try await (ahead ?? body.read(at: position)).value
            position += Int64(buffer.readableBytes)
            ahead = position < body.range.upperBound ? body.read(at: position) : nil
            return buffer
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(body: self, position: range.lowerBound)
    }

    private func read(at position: Int64) -> Task<ByteBuffer, any Error> {
        let count = Int(Swift.min(range.upperBound - position, Self.stepByteCount))
        return Task { [source] in try await source.read(at: position, count: count) }
    }
}
