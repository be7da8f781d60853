// A blob whose bytes another server holds.

public import BlobCore
public import NIOCore

/// A blob that was opened where its bytes come over the network.
public struct RemoteBlob: Sendable {
    /// In bytes.
    public let size: Int64
    /// Where a client can fetch all bytes by itself, for some minutes; `nil` where it cannot. Takes the
    /// `Content-Disposition` that the answer there is to have.
    public let location: (@Sendable (_ contentDisposition: String) -> String)?
    private let start: Start

    /// Takes the range, and what to fetch it on.
    public typealias Start = @Sendable (Range<Int64>, (any TaskExecutor)?) async throws(BlobError) -> RemoteBytes

    /// - Parameter start: begins to read a range that is not empty.
    public init(size: Int64, location: (@Sendable (String) -> String)?, start: @escaping Start) {
        self.size = size
        self.location = location
        self.start = start
    }

    /// Begins to read. Returns when the first bytes are there, so that a failure can still be answered with an error.
    ///
    /// - Parameter executor: where the bytes will be taken: fetched there, they need no other thread.
    /// - Throws: ``BlobError/Reason/unavailable(_:)``, ``BlobError/Reason/blobCorrupt``,
    ///   ``BlobError/Reason/bytesUnknown`` when the blob has gone since it was opened.
    public func bytes(
        of range: Range<Int64>, on executor: (any TaskExecutor)? = nil
    ) async throws(BlobError) -> RemoteBytes {
        try await start(range, executor)
    }
}

/// The bytes of a range, in order, fetched a little ahead of their reader. Anything that they hold open goes with them.
public struct RemoteBytes: Sendable {
    private let nextBuffer: @Sendable () async throws(BlobError) -> ByteBuffer?

    /// - Parameter next: called by one caller at a time.
    public init(next: @escaping @Sendable () async throws(BlobError) -> ByteBuffer?) {
        nextBuffer = next
    }

    /// The next bytes, at least one; `nil` after the last, never before it. One caller at a time.
    public func next() async throws(BlobError) -> ByteBuffer? { try await nextBuffer() }
}
