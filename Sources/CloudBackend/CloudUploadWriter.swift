// Cuts an upload's bytes into segments and sends them to the bucket, several at a time.

import BlobCore
import BlobStorage
import NIOCore
import PostgresPool

/// Collects a segment while the ones before it are on their way.
///
/// Memory is bounded: no more than ``SegmentBudget/segmentsPerUpload`` segments are held, the one that is collected
/// included. Segments count in their order: what was sent past one that could not be stored is given up.
actor CloudUploadWriter: UploadWriter {
    private let id: UploadID
    private let epoch: Int64
    private let store: CloudByteStore
    private let share: SegmentBudget.Share
    /// As far as rows speak of it.
    private var recorded: UploadProgress
    /// As far as bytes were taken.
    private var taken: UploadProgress
    private var collecting: CollectedSegment
    private var number = 0
    /// Sent and not yet recorded, in their order.
    private var sent: [SentSegment] = []
    /// Why no more bytes can be taken, and whether the caller knows.
    private var failure: (error: BlobError, isTold: Bool)?

    /// How long bytes may be held that are too few for a segment. It bounds what a slow sender loses with the node, and
    /// how many segments it makes: 10,000 in 28 hours.
    private static let longestCollecting = Duration.seconds(10)

    init(upload: Upload, store: CloudByteStore) {
        id = upload.id
        epoch = upload.epoch
        self.store = store
        share = store.budget.join()
        recorded = UploadProgress(offset: upload.offset, digest: upload.digest)
        taken = recorded
        collecting = CollectedSegment(at: upload.offset)
    }

    func write(_ buffers: [ByteBuffer]) async throws(BlobError) {
        for var buffer in buffers {
            while buffer.readableBytes > 0 {
                try await makeRoom()
                let room = share.segmentByteCount - collecting.byteCount
                guard let part = buffer.readSlice(length: min(room, buffer.readableBytes)) else { break }
                taken.digest.update(part)
                taken.offset += Int64(part.readableBytes)
                collecting.append(part)
                if part.readableBytes == room { send() }
            }
        }
    }

    func flush() async throws(BlobError) -> UploadProgress {
        send()
        for segment in sent { await segment.waitForEnd() }
        try await record()
        try tellFailure()
        return recorded
    }

    func checkpoint() async throws(BlobError) -> UploadProgress {
        if collecting.age >= Self.longestCollecting { send() }
        try await record()
        try tellFailure()
        return recorded
    }

    func progress() -> UploadProgress { failure == nil ? taken : recorded }

    func publish(as digest: BlobDigest) async throws(BlobError) {
        send()
        for segment in sent { await segment.waitForEnd() }
        noteFailure()
        // What is stored of a whole that is not is recorded by the flush that follows.
        try tellFailure()
        let stored = storedSegments()
        try await store.change(
            "SELECT publish_content($1, $2, $3, $4, $5, $6, $7)",
            [.uuid(id.uuid), .integer(epoch), .bytes(digest.bytes), .integer(taken.offset)] + Self.columns(of: stored)
        )
        forget(stored.count)
    }

    // MARK: Steps

    /// Waits until another segment may be held.
    private func makeRoom() async throws(BlobError) {
        while failure == nil {
            let underWay = sent.filter { !$0.hasEnded }
            guard underWay.count >= SegmentBudget.segmentsPerUpload, let first = underWay.first else { break }
            await first.waitForEnd()
            noteFailure()
        }
        if let failure {
            self.failure?.isTold = true
            throw failure.error
        }
    }

    /// Sends what was collected, if anything.
    private func send() {
        guard failure == nil, collecting.byteCount > 0 else { return }
        number += 1
        let name = "\(epoch)-\(number)-\(String(UInt64.random(in: .min ... .max), radix: 16))"
        sent.append(SentSegment(collecting, name: name, progress: taken, of: id, to: store))
        collecting = CollectedSegment(at: taken.offset)
    }

    /// Gives the segments rows that are stored with all before them.
    private func record() async throws(BlobError) {
        noteFailure()
        let stored = storedSegments()
        guard !stored.isEmpty else { return }
        try await store.run(
            "SELECT record_segments($1, $2, $3, $4, $5)",
            [.uuid(id.uuid), .integer(epoch)] + Self.columns(of: stored)
        )
        forget(stored.count)
    }

    /// The first segments, up to one that is still on its way or could not be stored.
    private func storedSegments() -> [SentSegment] { Array(sent.prefix { $0.isStored }) }

    private static func columns(of segments: [SentSegment]) -> [PostgresValue] {
        [.integers(segments.map(\.start)), .integers(segments.map(\.size)), .texts(segments.map(\.name))]
    }

    private func forget(_ count: Int) {
        guard count > 0 else { return }
        recorded = sent[count - 1].progress
        sent.removeFirst(count)
    }

    private func noteFailure() {
        guard failure == nil, let error = sent.lazy.compactMap(\.error).first else { return }
        failure = (error, isTold: false)
    }

    private func tellFailure() throws(BlobError) {
        guard let failure, !failure.isTold else { return }
        self.failure?.isTold = true
        throw failure.error
    }
}
