// Cuts an upload's bytes into segments and sends them to the bucket, several at a time.

import BlobCore
import BlobStorage
import NIOCore
import PostgresPool

/// Collects a part of a segment while the ones before it are on their way.
///
/// Memory is bounded: no more than ``PartBudget/partsPerUpload`` parts are held, the one that is collected included. A
/// segment is one part, but they grow with the upload, so that a huge one is not in too many of them. Segments count in
/// their order: those past one that could not be stored are given up.
actor CloudUploadWriter: UploadWriter {
    private let id: UploadID
    private let epoch: Int64
    private let store: CloudByteStore
    private let share: PartBudget.Share
    /// As far as rows speak of it.
    private var recorded: RunningDigest
    /// As far as bytes were taken.
    private var current: RunningDigest
    private var collecting: CollectedPart
    private var number = 0
    /// Sent and not yet recorded, in their order.
    private var sent: [SentSegment] = []
    /// The last of these, while more parts are to come.
    private var growing: SentSegment?
    /// Why no more bytes can be taken.
    private var failure: BlobError?

    /// How long bytes may be held that are too few for a segment. It bounds the bytes that a slow sender loses with the
    /// node, and the number of its segments: 10,000 in 28 hours.
    private static let longestCollecting = Duration.seconds(10)

    init(lease: Lease, store: CloudByteStore) {
        id = lease.id
        epoch = lease.epoch
        self.store = store
        share = store.budget.join()
        recorded = lease.upload.digest
        current = recorded
        collecting = CollectedPart(at: lease.offset)
    }

    func write(_ buffers: [ByteBuffer]) async throws(BlobError) {
        for var buffer in buffers {
            while buffer.readableBytes > 0 {
                try await makeRoom()
                let room = share.partByteCount - collecting.byteCount
                guard let part = buffer.readSlice(length: min(room, buffer.readableBytes)) else { break }
                current.update(part)
                collecting.append(part)
                if part.readableBytes == room { send(closing: false) }
            }
        }
    }

    func flush() async throws(BlobError) -> DurableBytes {
        send(closing: true)
        for segment in sent { await segment.waitForEnd() }
        return try await record()
    }

    func checkpoint() async throws(BlobError) -> DurableBytes {
        if max(collecting.age, growing?.age ?? .zero) >= Self.longestCollecting { send(closing: true) }
        return try await record()
    }

    func taken() -> RunningDigest { failure == nil ? current : recorded }

    func publish(as digest: BlobDigest) async throws(BlobError) {
        send(closing: true)
        for segment in sent { await segment.waitForEnd() }
        noteFailure()
        // Parts that are stored of a whole that is not are recorded by the flush that follows.
        if let failure { throw failure }
        let stored = storedSegments()
        try await store.change(
            """
            SELECT publish_content(
                p_upload => $1, p_epoch => $2, p_digest => $3, p_size => $4, p_starts => $5, p_sizes => $6,
                p_names => $7, p_etags => $8
            )
            """,
            [.uuid(id.uuid), .integer(epoch), .digest(digest), .integer(current.count)] + Self.columns(of: stored)
        )
        forget(stored.count)
    }

    // MARK: Steps

    /// Waits until another part may be held.
    private func makeRoom() async throws(BlobError) {
        while failure == nil {
            let underWay = sent.flatMap(\.partsUnderWay)
            guard underWay.count >= PartBudget.partsPerUpload, let first = underWay.first else { break }
            _ = await first.result
            noteFailure()
        }
        if let failure { throw failure }
    }

    /// Sends the collected bytes, if any.
    ///
    /// - Parameter closing: whether the segment is to count as soon as it is stored, however small it is.
    private func send(closing: Bool) {
        guard failure == nil else { return }
        guard collecting.byteCount > 0 else {
            if closing { closeGrowing() }
            return
        }
        let segment = growing ?? beginSegment()
        let leastByteCount = max(Int64(share.partByteCount), segment.start / store.steadySegments)
        let isLast = closing || segment.size + Int64(collecting.byteCount) >= leastByteCount
        segment.add(collecting, through: current, isLast: isLast)
        collecting = CollectedPart(at: current.count)
        growing = isLast ? nil : segment
    }

    private func beginSegment() -> SentSegment {
        number += 1
        let name = "\(epoch)-\(number)-\(String(UInt64.random(in: .min ... .max), radix: 16))"
        let start = current.count - Int64(collecting.byteCount)
        sent.append(SentSegment(at: start, name: name, through: current, of: id, to: store))
        return sent[sent.count - 1]
    }

    /// Gives the segments rows that are stored with all before them.
    private func record() async throws(BlobError) -> DurableBytes {
        noteFailure()
        let stored = storedSegments()
        guard !stored.isEmpty else { return DurableBytes(recorded, shortfall: failure) }
        try await store.database.run(
            """
            SELECT record_segments(
                p_upload => $1, p_epoch => $2, p_starts => $3, p_sizes => $4, p_names => $5, p_etags => $6
            )
            """,
            [.uuid(id.uuid), .integer(epoch)] + Self.columns(of: stored), isRepeatable: true
        )
        forget(stored.count)
        return DurableBytes(recorded, shortfall: failure)
    }

    /// The first segments, up to one that is still on its way or could not be stored.
    private func storedSegments() -> [SentSegment] { Array(sent.prefix { $0.eTag != nil }) }

    private static func columns(of segments: [SentSegment]) -> [PostgresValue] {
        [
            .integers(segments.map(\.start)), .integers(segments.map(\.size)), .texts(segments.map(\.name)),
            .texts(segments.compactMap(\.eTag)),
        ]
    }

    private func forget(_ count: Int) {
        guard count > 0 else { return }
        recorded = sent[count - 1].digest
        sent.removeFirst(count)
    }

    private func noteFailure() {
        guard failure == nil, let error = sent.lazy.compactMap(\.error).first else { return }
        failure = error
        closeGrowing()
    }

    private func closeGrowing() {
        growing?.close()
        growing = nil
    }
}
