// Finds out whether blobs still have the bytes that were uploaded, and takes those out of the way that have not.

public import BlobCore
public import Logging
import Metrics
import Synchronization

/// What a look at a blob's bytes showed.
public enum Verdict: Equatable, Sendable {
    case sound
    /// The bytes are others.
    case changed(MeasuredBytes)
    /// There are none.
    case missing
    /// The blob itself is not there any more: its last file went.
    case gone

    public var isDamage: Bool {
        switch self {
        case .changed, .missing: true
        case .sound, .gone: false
        }
    }
}

extension Verdict: CustomStringConvertible {
    public var description: String {
        switch self {
        case .sound: "sound"
        case .changed(let found): "\(found.size) bytes of the digest \(found.digest)"
        case .missing: "no bytes"
        case .gone: "gone"
        }
    }
}

/// Compares blobs with their digests.
///
/// Bytes that are not what their digest says are put into quarantine and their blob is marked: from then on a download
/// is an error, never other bytes. Uploading the same content again makes the blob sound.
public final class Verifier: Sendable {
    private let catalog: any Catalog
    private let bytes: any ByteStore
    private let blobs: BlobService
    private let locks: BlobLocks
    private let logger: Logger
    /// Made with the verifier: an alert on its increase needs the series before the first damage.
    private let damagedBlobs = Counter(label: "blobd_damaged_blobs_total")

    private static let batchSize = 1000
    /// A server that has just started has better things to do.
    private static let firstDelay = Duration.seconds(600)

    public init(
        catalog: any Catalog, bytes: any ByteStore, blobs: BlobService, locks: BlobLocks, logger: Logger
    ) {
        self.catalog = catalog
        self.bytes = bytes
        self.blobs = blobs
        self.locks = locks
        self.logger = logger
    }

    /// Looks at a blob's bytes and changes nothing.
    ///
    /// - Parameter reading: whether to read all of them, or to compare their number only.
    /// - Returns: what that showed, and where the bytes are of which it is known.
    public static func look(
        at record: BlobRecord, in bytes: any ByteStore, reading: Bool, pace: @Sendable (Int) async -> Void
    ) async throws(BlobError) -> (verdict: Verdict, place: (any Sendable)?) {
        guard let place = try await bytes.place(of: record.digest) else { return (.missing, nil) }
        guard reading else {
            guard let size = try await bytes.size(of: record.digest, at: place) else { return (.missing, place) }
            let found = MeasuredBytes(size: size, digest: record.digest)
            return (size == record.size ? .sound : .changed(found), place)
        }
        guard let measured = try await bytes.measure(record.digest, at: place, pace: pace) else {
            return (.missing, place)
        }
        return (measured.digest == record.digest ? .sound : .changed(measured), place)
    }

    /// Looks a second time at what seemed damaged: the blob may have been removed, or uploaded again, since.
    public static func lookAgain(
        at record: BlobRecord, in bytes: any ByteStore, listedIn catalog: any Catalog, reading: Bool
    ) async throws(BlobError) -> (verdict: Verdict, place: (any Sendable)?) {
        guard try await catalog.unknownBlobs(among: [record.digest]).isEmpty else { return (.gone, nil) }
        return try await look(at: record, in: bytes, reading: reading, pace: { _ in })
    }

    /// Looks at a blob's bytes, and takes them out of service when they are damaged.
    public func verify(
        _ record: BlobRecord, reading: Bool, pace: @Sendable (Int) async -> Void = { _ in }
    ) async throws(BlobError) -> Verdict {
        let first = try await Self.look(at: record, in: bytes, reading: reading, pace: pace).verdict
        if !first.isDamage && record.condition == .sound { return first }
        return try await locks.holding(record.digest) { () throws(BlobError) in
            while true {
                // The lock keeps those of this process apart; where others have the same blobs, what is recorded tells
                // whether they were faster.
                let (verdict, place) = try await Self.lookAgain(
                    at: record, in: bytes, listedIn: catalog, reading: reading)
                let isStillSo =
                    switch verdict {
                    case .changed, .missing: try await condemn(record, verdict, at: place)
                    case .sound where reading: try await catalog.setCondition(.sound, of: record.digest, at: place)
                    case .sound, .gone: true
                    }
                if isStillSo { return verdict }
            }
        }
    }

    /// - Returns: `false` when other bytes have come in the place of the damaged ones.
    private func condemn(
        _ record: BlobRecord, _ verdict: Verdict, at place: (any Sendable)?
    ) async throws(BlobError) -> Bool {
        // The mark first: with it, nobody is served what is about to be moved.
        guard try await catalog.setCondition(.damaged, of: record.digest, at: place) else { return false }
        blobs.forget(record.digest)
        if record.condition != .damaged {
            damagedBlobs.increment()
            logger.critical(
                "a blob is damaged; its bytes go to quarantine",
                metadata: ["digest": "\(record.digest)", "size": "\(record.size)", "found": "\(verdict)"]
            )
        }
        guard let place else { return true }
        do throws(BlobError) {
            try await bytes.quarantine(record.digest, at: place)
        } catch {
            // The mark is what protects clients; other blobs must not go unexamined because this one cannot be moved.
            logger.critical(
                "the bytes of a damaged blob could not be moved to quarantine; it is tried when they are read again",
                metadata: ["digest": "\(record.digest)", "error": "\(error)"]
            )
        }
        return true
    }

    /// Verifies what others suspect.
    public func verifySuspected() async throws(BlobError) {
        while !Task.isCancelled {
            let suspected = try await catalog.suspectedBlobs(limit: Self.batchSize)
            for record in suspected { _ = try await verify(record, reading: true) }
            if suspected.count < Self.batchSize { return }
        }
    }

    /// Reads all blobs, again and again, until the task is cancelled.
    ///
    /// - Parameters:
    ///   - interval: from the beginning of one pass to that of the next, at least.
    ///   - rate: bytes per second, at most.
    public func run(every interval: Duration, rate: Int64) async throws {
        let pacer = Pacer(rate: rate)
        try await Task.sleep(for: min(interval, Self.firstDelay))
        // Anywhere: a server that is restarted often must not look at the same blobs each time.
        var range = DigestRange(after: .last(beginningWith: .random(in: 0 ... .max)), through: nil)
        while true {
            let start = ContinuousClock.now
            do throws(BlobError) {
                try await catalog.forEachBlob(in: range) { record throws(BlobError) in
                    _ = try await verify(record, reading: true) { await pacer.wait(for: $0) }
                }
            } catch {
                logger.error("verifying blobs failed; trying again later", metadata: ["error": "\(error)"])
            }
            range = .all
            try await Task.sleep(until: start + interval)
        }
    }
}

/// Spreads reading over time.
private final class Pacer: Sendable {
    private let rate: Int64
    private let next = Mutex(ContinuousClock.now)

    /// - Parameter rate: bytes per second.
    init(rate: Int64) {
        self.rate = max(1, rate)
    }

    /// Returns when so many bytes were allowed to be read; at once in a task that was cancelled.
    func wait(for byteCount: Int) async {
        let due = next.withLock { next in
            next = max(next, .now) + .seconds(Double(byteCount) / Double(rate))
            return next
        }
        try? await Task.sleep(until: due)
    }
}
