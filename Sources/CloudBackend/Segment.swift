// Segments: collected from the bytes that arrive, then sent to the bucket.

import BlobCore
import BlobStorage
import NIOCore
import S3Client
import Synchronization

/// Bytes of a segment that are collected before they are sent: all of it, or a part of a large one.
struct CollectedPart {
    private(set) var buffers: [ByteBuffer] = []
    private(set) var byteCount = 0
    /// The digest of these bytes, by which the bucket checks them; `nil` at an upload's start, where it is the
    /// upload's.
    private(set) var digest: RunningDigest?
    private var begin: ContinuousClock.Instant?

    /// - Parameter start: within the upload.
    init(at start: Int64) {
        digest = start == 0 ? nil : RunningDigest()
    }

    /// Since its first byte.
    var age: Duration { begin?.duration(to: .now) ?? .zero }

    mutating func append(_ bytes: ByteBuffer) {
        if begin == nil { begin = .now }
        digest?.update(bytes)
        byteCount += bytes.readableBytes
        // Bytes that arrive in drops come in buffers that are mostly empty, and would take a multiple of their size.
        if bytes.storageCapacity <= 2 * bytes.readableBytes {
            buffers.append(bytes)
        } else if var last = buffers.popLast() {
            last.writeImmutableBuffer(bytes)
            buffers.append(last)
        } else {
            buffers.append(ByteBuffer(bytes: bytes.readableBytesView))
        }
    }
}

/// A segment on its way to the bucket, or there: one object, sent at once or in parts. Used by its writer alone.
final class SentSegment {
    /// Within the upload.
    let start: Int64
    let name: String
    private(set) var size: Int64 = 0
    /// Of the upload through its end.
    private(set) var digest: RunningDigest
    private let key: ObjectKey
    private let store: CloudByteStore
    private let begin = ContinuousClock.now
    private var parts: [Sending<S3Part>] = []
    /// Of a segment in parts.
    private var multipart: Sending<S3MultipartUpload>?
    /// Brings the ETag of the whole.
    private var completion: Sending<String>?

    /// Objects without a row are deleted a day after they were written, at the earliest: a node that was paused for
    /// longer than this does not count on the objects that it sent before.
    private static let longestPause = Duration.seconds(12 * 3600)

    init(at start: Int64, name: String, through digest: RunningDigest, of id: UploadID, to store: CloudByteStore) {
        self.start = start
        self.digest = digest
        self.name = name
        self.store = store
        key = ObjectKey(upload: id.uuid, name: name)
    }

    var age: Duration { begin.duration(to: .now) }

    /// Sends more of it. All parts but the last have at least 5 MiB, as S3 wants it.
    func add(_ part: CollectedPart, through digest: RunningDigest, isLast: Bool) {
        size += Int64(part.byteCount)
        self.digest = digest
        let (buffers, digest) = (part.buffers, (part.digest ?? digest).digest)
        if isLast && parts.isEmpty {
            parts = [
                Sending { [store, key] in
                    await store.settled { bucket throws(S3Error) in
                        S3Part(number: 1, eTag: try await bucket.put(key.text, buffers, sha256: digest.bytes))
                    }
                }
            ]
            completion = Sending { [parts] in await parts[0].result.map(\.eTag) }
            return
        }
        let multipart =
            multipart
            ?? Sending { [store, key] in
                await store.settled { bucket throws(S3Error) in try await bucket.createMultipartUpload(key.text) }
            }
        self.multipart = multipart
        let number = parts.count + 1
        parts.append(
            Sending { [store] in
                switch await multipart.result {
                case .success(let upload):
                    await store.settled { bucket throws(S3Error) in
                        try await bucket.uploadPart(upload, number: number, buffers, sha256: digest.bytes)
                    }
                case .failure(let error): .failure(error)
                }
            }
        )
        if isLast { close() }
    }

    /// Makes the object of the parts that were sent, or discards them when one of them failed.
    func close() {
        guard completion == nil, let multipart else { return }
        completion = Sending { [store, parts] in
            var sent: [S3Part] = []
            for part in parts {
                switch await part.result {
                case .success(let part): sent.append(part)
                case .failure(let error):
                    if case .success(let upload) = await multipart.result { await store.abandon(upload) }
                    return .failure(error)
                }
            }
            return switch await multipart.result {
            case .success(let upload):
                await store.settled { bucket throws(S3Error) in
                    try await bucket.completeMultipartUpload(upload, parts: sent)
                }
            case .failure(let error): .failure(error)
            }
        }
    }

    /// Its parts that hold memory.
    var partsUnderWay: [Sending<S3Part>] { parts.filter { $0.outcome == nil } }

    /// Returns when all sent parts are there or failed, and the whole of it when it was closed.
    func waitForEnd(isolation: isolated (any Actor)? = #isolation) async {
        for part in parts { _ = await part.result }
        _ = await completion?.result
    }

    /// The object's ETag, when all of it is in the bucket, and no sweep can have taken it for one that was left behind.
    var eTag: String? { error == nil ? try? completion?.outcome?.get() : nil }

    var error: BlobError? {
        for part in parts { if case .failure(let error)? = part.outcome { return error } }
        switch completion?.outcome {
        case .failure(let error): return error
        case .success where age > Self.longestPause: return .uploadSuperseded
        case .success, nil: return nil
        }
    }
}

/// Work on its way. Not ended by a cancellation: bytes that arrived are kept, even when nobody waits for them any more.
final class Sending<Value: Sendable>: Sendable {
    private let settled = Settled()
    private let task: Task<Result<Value, BlobError>, Never>

    private final class Settled: Sendable {
        let outcome = Mutex<Result<Value, BlobError>?>(nil)
    }

    init(_ work: @escaping @Sendable () async -> Result<Value, BlobError>) {
        task = Task { [settled] in
            let result = await work()
            settled.outcome.withLock { $0 = result }
            return result
        }
    }

    /// Waits for its end.
    var result: Result<Value, BlobError> { get async { await task.value } }

    /// `nil` before its end.
    var outcome: Result<Value, BlobError>? { settled.outcome.withLock(\.self) }
}

/// How large parts are: large ones cost least, but the uploads of a node share its memory.
final class PartBudget: Sendable {
    /// Parts that an upload may hold in memory.
    static let partsPerUpload = 4

    private static let totalByteCount = 1 << 30
    /// S3 takes no smaller ones.
    private static let byteCounts = 5 << 20...16 << 20

    private let uploads = Atomic(0)

    /// One upload's part of the budget, until it is let go.
    final class Share: Sendable {
        /// In bytes.
        let partByteCount: Int
        private let budget: PartBudget

        fileprivate init(_ partByteCount: Int, of budget: PartBudget) {
            self.partByteCount = partByteCount
            self.budget = budget
        }

        deinit {
            budget.uploads.subtract(1, ordering: .relaxed)
        }
    }

    func join() -> Share {
        let count = uploads.add(1, ordering: .relaxed).newValue
        let share = Self.totalByteCount / (Self.partsPerUpload * max(1, count))
        return Share(min(max(share, Self.byteCounts.lowerBound), Self.byteCounts.upperBound), of: self)
    }
}

extension RunningDigest {
    mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { update($0) }
    }
}
