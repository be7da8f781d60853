// A blob's file, open for reading.

private import CLinux
private import Glibc
public import NIOCore

/// An open file that holds a blob's bytes and is closed when the last user lets it go.
///
/// Reads name their position, so that any number of downloads can share one.
public final class BlobFile: Sendable {
    private let descriptor: CInt
    /// In bytes.
    public let size: Int64

    /// Takes over the ownership of a descriptor that is open for reading.
    public init(takingOwnershipOf descriptor: CInt, size: Int64) {
        self.descriptor = descriptor
        self.size = size
    }

    deinit {
        // Nothing was written through the descriptor: an error of close() has nothing to tell.
        _ = close(descriptor)
    }

    /// Lends the file to a sending by the kernel, which may read it while others do.
    ///
    /// - Parameter send: must not close the handle; the future ends when nothing is read by it any more.
    public func lending(_ send: (NIOFileHandle) -> EventLoopFuture<Void>) -> EventLoopFuture<Void> {
        // SwiftNIO lends a handle to one event loop at a time, and a descriptor to as many as have handles.
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: descriptor)
        return send(handle).always { _ in
            withExtendedLifetime(self) { _ = try? handle.takeDescriptorOwnership() }
        }
    }

    /// Reads bytes, and waits for the disk where it has to.
    ///
    /// - Returns: how many; fewer than the range has where the file ends within it.
    public func read(_ range: Range<Int64>, into buffer: inout ByteBuffer) throws -> Int {
        var position = range.lowerBound
        while position < range.upperBound {
            let count = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(range.upperBound - position)) {
                let count = pread(descriptor, $0.baseAddress, Int(range.upperBound - position), off_t(position))
                guard count >= 0 else { throw IOError(errnoCode: errno, reason: "pread") }
                return count
            }
            guard count > 0 else { break }
            position += Int64(count)
        }
        return Int(position - range.lowerBound)
    }

    /// Reads bytes that the page cache holds, without ever waiting for the disk.
    ///
    /// - Returns: whether all of them were there; the buffer is unchanged when not.
    public func readCached(_ range: Range<Int64>, into buffer: inout ByteBuffer) -> Bool {
        let count = Int(range.upperBound - range.lowerBound)
        let start = buffer.writerIndex
        let read = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
            max(0, clinux_read_cached(descriptor, bytes.baseAddress, count, off_t(range.lowerBound)))
        }
        guard read == count else {
            buffer.moveWriterIndex(to: start)
            return false
        }
        return true
    }
}
