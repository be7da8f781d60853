// A segment: collected from what arrives, then sent to the bucket.

import BlobCore
import BlobStorage
import NIOCore
import Synchronization

/// The bytes of a segment that is not yet full.
struct CollectedSegment {
    /// Within the upload.
    let start: Int64
    private(set) var buffers: [ByteBuffer] = []
    private(set) var byteCount = 0
    /// The digest of the segment's own bytes, by which the bucket checks them; `nil` at an upload's start, where it is
    /// the upload's.
    private(set) var digest: RunningDigest?
    private var begin: ContinuousClock.Instant?

    init(at start: Int64) {
        self.start = start
        digest = start == 0 ? nil : RunningDigest()
    }

    /// Since its first byte.
    var age: Duration { begin?.duration(to: .now) ?? .zero }

    mutating func append(_ part: ByteBuffer) {
        if begin == nil { begin = .now }
        digest?.update(part)
        byteCount += part.readableBytes
        // What arrives in drops comes in buffers that are mostly empty, and would take a multiple of its size.
        if part.storageCapacity <= 2 * part.readableBytes {
            buffers.append(part)
        } else if var last = buffers.popLast() {
            last.writeImmutableBuffer(part)
            buffers.append(last)
        } else {
            buffers.append(ByteBuffer(bytes: part.readableBytesView))
        }
    }
}

/// A segment on its way to the bucket, or there.
final class SentSegment: Sendable {
    let start: Int64
    let size: Int64
    let name: String
    /// How far the upload goes with it.
    let progress: UploadProgress
    private let begin = ContinuousClock.now
    private let sending: Sending
    private let task: Task<Void, Never>

    private final class Sending: Sendable {
        let outcome = Mutex<Result<Void, BlobError>?>(nil)
    }

    /// Objects without a row are deleted a day after they were written, at the earliest: a node that was paused for
    /// longer than this does not count on what it sent before.
    private static let longestPause = Duration.seconds(12 * 3600)

    init(
        _ segment: CollectedSegment, name: String, progress: UploadProgress, of id: UploadID, to store: CloudByteStore
    ) {
        start = segment.start
        size = Int64(segment.byteCount)
        self.name = name
        self.progress = progress
        let sending = Sending()
        self.sending = sending
        // Not ended by a cancellation: what arrived is kept, whoever stopped listening.
        task = Task {
            let result = await store.put(
                segment.buffers, digest: (segment.digest ?? progress.digest).digest,
                as: ObjectKey(upload: id.uuid, name: name)
            )
            sending.outcome.withLock { $0 = result }
        }
    }

    /// Returns when it is stored or failed.
    func waitForEnd() async { await task.value }

    var hasEnded: Bool { sending.outcome.withLock { $0 != nil } }

    /// Whether it is in the bucket, and no sweep can have taken it for one that was left behind.
    var isStored: Bool { hasEnded && error == nil }

    var error: BlobError? {
        switch sending.outcome.withLock({ $0 }) {
        case .failure(let error): error
        case .success where begin.duration(to: .now) > Self.longestPause: .uploadSuperseded
        case .success, nil: nil
        }
    }
}

/// How large segments are: large ones cost least, but the uploads of a node share its memory.
final class SegmentBudget: Sendable {
    /// Segments that an upload may hold in memory.
    static let segmentsPerUpload = 4

    private static let totalByteCount = 1 << 30
    private static let byteCounts = 4 << 20...16 << 20

    private let uploads = Atomic(0)

    /// One upload's part of the budget, until it is let go.
    final class Share: Sendable {
        /// In bytes.
        let segmentByteCount: Int
        private let budget: SegmentBudget

        fileprivate init(_ segmentByteCount: Int, of budget: SegmentBudget) {
            self.segmentByteCount = segmentByteCount
            self.budget = budget
        }

        deinit {
            budget.uploads.subtract(1, ordering: .relaxed)
        }
    }

    func join() -> Share {
        let count = uploads.add(1, ordering: .relaxed).newValue
        let share = Self.totalByteCount / (Self.segmentsPerUpload * max(1, count))
        return Share(min(max(share, Self.byteCounts.lowerBound), Self.byteCounts.upperBound), of: self)
    }
}

extension RunningDigest {
    mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { update($0) }
    }
}
