// The model of a byte store.

public import BlobCore
public import BlobStorage
private import NIOCore
private import Synchronization

/// A byte store that keeps everything in memory, for tests.
public final class InMemoryByteStore: ByteStore {
    fileprivate struct HeldUpload {
        var bytes: [UInt8] = []
        /// How many of the bytes a power loss would leave.
        var durableCount = 0
    }

    fileprivate struct HeldBlob {
        var bytes: [UInt8]
        /// Tells these bytes from others that are published under the same digest.
        let number: Int
    }

    fileprivate struct State {
        var uploads: [UploadID: HeldUpload] = [:]
        var blobs: [BlobDigest: HeldBlob] = [:]
        var publications = 0
        /// Looks at blobs to come that find nothing.
        var missingLooks = 0
        var shortage: BlobError.Shortage?

        var byteCount: Int {
            uploads.values.map(\.bytes.count).reduce(0, +) + blobs.values.map(\.bytes.count).reduce(0, +)
        }
    }

    fileprivate let state: Mutex<State>
    fileprivate let capacity: Int?

    /// - Parameter capacity: how many bytes there is room for; `nil` for any number.
    public init(capacity: Int? = nil) {
        state = Mutex(State())
        self.capacity = capacity
    }

    private init(_ state: State, capacity: Int?) {
        self.state = Mutex(state)
        self.capacity = capacity
    }

    /// The store that a new process finds. Changes of the old one, and its writers', are lost from now on.
    ///
    /// - Parameter losingUnflushed: whether bytes that were never flushed are gone, as after a power loss, or still
    ///   there, as after `kill -9`.
    public func restarted(losingUnflushed: Bool) -> InMemoryByteStore {
        var state = state.withLock { $0 }
        if losingUnflushed {
            for (id, upload) in state.uploads {
                state.uploads[id]?.bytes = Array(upload.bytes.prefix(upload.durableCount))
            }
        }
        return InMemoryByteStore(state, capacity: capacity)
    }

    public func writer(for lease: Lease, expecting: Int64?) throws(BlobError) -> any UploadWriter {
        try state.withLock { state throws(BlobError) in
            var held = state.uploads[lease.id] ?? HeldUpload()
            guard let offset = Int(exactly: lease.offset), offset <= held.bytes.count else {
                throw .uploadFailed
            }
            held.bytes.removeLast(held.bytes.count - offset)
            held.durableCount = min(held.durableCount, offset)
            state.uploads[lease.id] = held
            if expecting != 0, let shortage = state.shortage { throw BlobError(.insufficientStorage(shortage)) }
            if let expecting, let capacity, expecting > Int64(capacity - state.byteCount) { throw .full }
        }
        return InMemoryUploadWriter(lease.upload, store: self)
    }

    public func open(_ digest: BlobDigest) throws(BlobError) -> BlobContent {
        let bytes = state.withLock { state in
            guard state.missingLooks == 0 else {
                state.missingLooks -= 1
                return [UInt8]?.none
            }
            return state.blobs[digest]?.bytes
        }
        guard let bytes else { throw .bytesUnknown }
        return .buffer(ByteBuffer(bytes: bytes))
    }

    /// Lets the next so many looks at blobs come just between a removal and a new upload of the same bytes.
    public func missBlobs(times count: Int) {
        state.withLock { $0.missingLooks = count }
    }

    public func discard(_ id: UploadID) {
        state.withLock { $0.uploads[id] = nil }
    }

    public func remove(_ digest: BlobDigest) {
        state.withLock { $0.blobs[digest] = nil }
    }

    public func place(of digest: BlobDigest) -> Int? {
        state.withLock { $0.blobs[digest]?.number }
    }

    public func measure(
        _ digest: BlobDigest, at place: Int, pace: @Sendable (_ byteCount: Int) async -> Void
    ) async -> MeasuredBytes? {
        guard let bytes = state.withLock({ $0.blobs[digest]?.bytes }) else { return nil }
        await pace(bytes.count)
        return MeasuredBytes(size: Int64(bytes.count), digest: BlobDigest(of: bytes))
    }

    public func quarantine(_ digest: BlobDigest, at place: Int) {
        state.withLock { state in
            if state.blobs[digest]?.number == place { state.blobs[digest] = nil }
        }
    }

    public func heldByteCount(of id: UploadID) -> Int64? {
        state.withLock { $0.uploads[id].map { Int64($0.bytes.count) } }
    }

    /// Changes a blob's bytes behind everybody's back.
    public func damage(_ digest: BlobDigest, to bytes: [UInt8]) {
        state.withLock { $0.blobs[digest]?.bytes = bytes }
    }

    public func heldUploads() -> [UploadID] {
        state.withLock { Array($0.uploads.keys) }
    }

    public func heldBlobs(beginningWith byte: UInt8) -> [BlobDigest] {
        state.withLock { $0.blobs.keys.filter { $0.bytes.first == byte } }
    }

    public func checkReadiness() {}

    public func shortage() -> BlobError.Shortage? { state.withLock { $0.shortage } }

    /// Lets the store refuse whatever adds to it from now on; `nil`: nothing any more.
    public func runShort(of shortage: BlobError.Shortage?) {
        state.withLock { $0.shortage = shortage }
    }

    public func availableBytes() -> Int64? {
        capacity.map { capacity in Int64(max(0, capacity - state.withLock { $0.byteCount })) }
    }
}

private final class InMemoryUploadWriter: UploadWriter {
    private let id: UploadID
    private let store: InMemoryByteStore
    private let digest: Mutex<RunningDigest>

    init(_ upload: Upload, store: InMemoryByteStore) {
        id = upload.id
        self.store = store
        digest = Mutex(upload.digest)
    }

    func write(_ buffers: [ByteBuffer]) throws(BlobError) {
        for buffer in buffers {
            try change { state, held throws(BlobError) in
                guard state.byteCount + buffer.readableBytes <= store.capacity ?? .max else { throw .full }
                held.bytes.append(contentsOf: buffer.readableBytesView)
            }
            digest.withLock { digest in buffer.withUnsafeReadableBytes { digest.update($0) } }
        }
    }

    func flush() throws(BlobError) -> DurableBytes {
        try change { _, held in held.durableCount = held.bytes.count }
        return DurableBytes(taken())
    }

    func taken() -> RunningDigest { digest.withLock { $0 } }

    func publish(as digest: BlobDigest) throws(BlobError) {
        try change { state, held in
            held.durableCount = held.bytes.count
            state.publications += 1
            state.blobs[digest] = InMemoryByteStore.HeldBlob(bytes: held.bytes, number: state.publications)
        }
    }

    private func change(
        _ body: (inout InMemoryByteStore.State, inout InMemoryByteStore.HeldUpload) throws(BlobError) -> Void
    ) throws(BlobError) {
        try store.state.withLock { state throws(BlobError) in
            guard var held = state.uploads[id] else {
                throw .uploadFailed
            }
            try body(&state, &held)
            state.uploads[id] = held
        }
    }
}

extension BlobError {
    fileprivate static let full = BlobError(.insufficientStorage(.disk))
}
