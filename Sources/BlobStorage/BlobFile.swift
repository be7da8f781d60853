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

    /// A handle of its own for one download, since NIO lends a handle to one event loop at a time. The caller closes
    /// it.
    ///
    /// - Throws: an `IOError` when the process is out of descriptors.
    public func makeHandle() throws -> NIOFileHandle {
        let copy = OpenFileLimit.admitted(fcntl(descriptor, F_DUPFD_CLOEXEC, 0))
        guard copy >= 0 else { throw IOError(errnoCode: errno, reason: "fcntl(F_DUPFD_CLOEXEC)") }
        return NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: copy)
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
