// What every byte store promises.

public import BlobCore
public import NIOCore

/// The bytes: of uploads as they arrive, and of blobs under their digests.
///
/// A byte store knows no owners, names or times. What a crash leaves behind in it without a row is garbage.
public protocol ByteStore<Place>: Sendable {
    /// See ``Backend/Place``.
    associatedtype Place: Sendable

    /// Opens a leased upload for writing at its offset. Bytes held past the offset were never acknowledged and go.
    ///
    /// - Parameter expecting: the number of bytes to come, where known, so that a full store can refuse them early.
    /// - Throws: ``BlobError/Reason/uploadFailed`` when fewer bytes are held than were acknowledged,
    ///   ``BlobError/Reason/insufficientStorage(_:)``, ``BlobError/Reason/unavailable(_:)``.
    func writer(for lease: Lease, expecting: Int64?) async throws(BlobError) -> any UploadWriter

    /// Opens a published blob.
    ///
    /// An opened blob can be read to its end even when it is removed meanwhile.
    /// - Throws: ``BlobError/Reason/bytesUnknown`` when its bytes are not here, ``BlobError/Reason/unavailable(_:)``.
    func open(_ digest: BlobDigest) async throws(BlobError) -> BlobContent

    /// Opens a published blob as above, at the place that the catalog has just told.
    ///
    /// - Parameter place: ``LocatedBlob/place``; where it is `nil`, the store has to look itself.
    func open(_ digest: BlobDigest, at place: Place?) async throws(BlobError) -> BlobContent

    /// Lets go of opened blobs, on a thread that may wait: closing files may block.
    func close(_ contents: [BlobContent])

    /// Where the bytes of a blob are now; `nil` when none are held.
    func place(of digest: BlobDigest) async throws(BlobError) -> Place?

    /// Removes all bytes of an upload. Without effect on one that is not held.
    func discard(_ id: UploadID) async throws(BlobError)

    /// Removes a blob's bytes. Without effect on one that is not held.
    func remove(_ digest: BlobDigest) async throws(BlobError)

    /// Reads all bytes of a blob, whatever they have become.
    ///
    /// - Parameters:
    ///   - place: where ``place(of:)`` has just said that they are.
    ///   - pace: told how many bytes were read, again and again; its waiting slows the reading down.
    /// - Returns: their size and digest; `nil` when any of them are missing.
    func measure(
        _ digest: BlobDigest, at place: Place, pace: @Sendable (_ byteCount: Int) async -> Void
    ) async throws(BlobError) -> MeasuredBytes?

    /// Takes a blob's bytes out of the way, to where nobody is served from and nothing is deleted. Without effect when
    /// they are not at this place any more: those of a later upload stay.
    func quarantine(_ digest: BlobDigest, at place: Place) async throws(BlobError)

    /// The number of a blob's bytes, asked of the file or objects that hold them; `nil` when any of them are missing.
    func size(of digest: BlobDigest, at place: Place) async throws(BlobError) -> Int64?

    /// How many bytes are held of an upload; `nil` when nothing is.
    func heldByteCount(of id: UploadID) async throws(BlobError) -> Int64?

    /// The uploads of which anything is held. A store that knows which of them are open may leave those out.
    func heldUploads() async throws(BlobError) -> [UploadID]

    /// The blobs that are held whose digests begin with this byte. A store that knows which of them have a row may
    /// leave those out.
    func heldBlobs(beginningWith byte: UInt8) async throws(BlobError) -> [BlobDigest]

    /// Lets go of left-overs that no other call can name.
    ///
    /// - Returns: how many such things there were.
    func sweep() async throws(BlobError) -> Int

    /// Whether bytes can be written and read now.
    ///
    /// - Throws: ``BlobError/Reason/unavailable(_:)``.
    func checkReadiness() async throws(BlobError)

    /// Bytes that are free, where the store can tell.
    func availableBytes() async throws(BlobError) -> Int64?

    /// Why nothing may be added now, neither bytes nor rows; `nil` when something may. What only removes is not asked.
    func shortage() async throws(BlobError) -> BlobError.Shortage?

    /// The same for a few rows, from what was found out a moment ago.
    ///
    /// - Throws: ``BlobError/Reason/insufficientStorage(_:)``.
    func requireRoom() async throws(BlobError)
}

extension ByteStore {
    public func open(_ digest: BlobDigest, at place: Place?) async throws(BlobError) -> BlobContent {
        try await open(digest)
    }

    public func close(_ contents: [BlobContent]) {}

    public func size(of digest: BlobDigest, at place: Place) async throws(BlobError) -> Int64? {
        do throws(BlobError) {
            return try await open(digest, at: place).size
        } catch  where error.reason == .bytesUnknown {
            return nil
        }
    }

    public func sweep() async throws(BlobError) -> Int { 0 }

    public func shortage() async throws(BlobError) -> BlobError.Shortage? { nil }

    public func requireRoom() async throws(BlobError) {
        if let shortage = try await shortage() { throw BlobError(.insufficientStorage(shortage)) }
    }
}

/// The size and digest of bytes that were read.
public struct MeasuredBytes: Equatable, Sendable {
    public let size: Int64
    public let digest: BlobDigest

    public init(size: Int64, digest: BlobDigest) {
        self.size = size
        self.digest = digest
    }
}

/// How far an upload's bytes are durable.
public struct DurableBytes: Equatable, Sendable {
    /// Of these bytes.
    public let digest: RunningDigest
    /// Why bytes that were taken are not among them and never will be; `nil` where none are missed.
    public let shortfall: BlobError?

    public init(_ digest: RunningDigest, shortfall: BlobError? = nil) {
        self.digest = digest
        self.shortfall = shortfall
    }
}

/// Writes one upload's bytes in order. One caller at a time. Anything that it holds open goes with it.
public protocol UploadWriter: Sendable {
    /// Takes the next bytes, which need not be durable when it returns.
    ///
    /// - Throws: ``BlobError/Reason/insufficientStorage(_:)``, ``BlobError/Reason/unavailable(_:)``.
    func write(_ buffers: [ByteBuffer]) async throws(BlobError)

    /// Makes everything that could be written durable, also after an error of ``write(_:)``, and tells how far it goes.
    ///
    /// - Throws: ``BlobError/Reason/uploadFailed`` when the storage reports that it lost bytes: nothing written to this
    ///   upload may be trusted or tried again. Other errors, when nobody can tell now how far durable bytes go.
    func flush() async throws(BlobError) -> DurableBytes

    /// Makes bytes durable as far as that does not hold up those to come, and tells how far they go.
    ///
    /// - Throws: as ``flush()``.
    func checkpoint() async throws(BlobError) -> DurableBytes

    /// The digest of the bytes that were taken, durable or not.
    func taken() async -> RunningDigest

    /// Makes everything durable and publishes it as the blob of this digest, which the caller has compared. Publishing
    /// a digest that is published already puts these bytes in the place of the older ones, which are the same unless
    /// they were damaged. Bytes of the upload that were flushed stay its own until they are discarded.
    ///
    /// - Throws: ``BlobError/Reason/uploadFailed``, as ``flush()``. Other errors, when not all bytes that were taken
    ///   can be published; ``flush()`` then tells how far those go that are durable.
    func publish(as digest: BlobDigest) async throws(BlobError)
}

extension UploadWriter {
    public func checkpoint() async throws(BlobError) -> DurableBytes { try await flush() }
}

/// A blob's bytes, opened, and how best to send them.
public enum BlobContent: Sendable {
    /// A file of the local disk, for `sendfile` or for reads on a thread pool.
    case file(BlobFile)
    /// Bytes in memory.
    case buffer(ByteBuffer)
    /// Bytes that come over the network.
    case remote(RemoteBlob)

    /// The number of bytes.
    public var size: Int64 {
        switch self {
        case .file(let file): file.size
        case .buffer(let buffer): Int64(buffer.readableBytes)
        case .remote(let blob): blob.size
        }
    }

    var isRemote: Bool {
        if case .remote = self { true } else { false }
    }
}
