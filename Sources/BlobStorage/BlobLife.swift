// The life of blobs in a process: opening them, and every step that changes the bytes served under a digest.

public import BlobCore
public import Logging
import Metrics
import Synchronization

/// A blob that can be sent: its record and its opened bytes.
public struct OpenBlob: Sendable {
    public let blob: Blob
    public let content: BlobContent
}

/// Opens blobs, and publishes, removes and condemns them.
///
/// Recently used ones are remembered with their open files, so that a popular small blob costs neither a query nor an
/// `open`. Each step that changes the bytes served under a digest is taken here, so that it waits for the others on
/// that digest, and the blob is forgotten before the step is acknowledged.
public final class BlobLife: Sendable {
    private let backend: any Backend
    private let locks = BlobLocks()
    private let memory: Mutex<BlobMemory>
    private let logger: Logger
    /// Made with this: an alert on its increase needs the series before the first damage.
    private let damagedBlobs = Counter(label: "blobd_damaged_blobs_total")

    /// - Parameter capacity: blobs to remember; each holds a file descriptor.
    public init(of backend: any Backend, capacity: Int = OpenFileLimit.mostKept, logger: Logger) {
        self.backend = backend
        self.logger = logger
        memory = Mutex(BlobMemory(capacity: capacity))
    }

    // MARK: Opening

    /// Opens a blob that a live file points at.
    ///
    /// - Throws: ``BlobError/Reason/blobUnknown``, ``BlobError/Reason/blobCorrupt``.
    public func open(_ digest: BlobDigest) async throws(BlobError) -> OpenBlob {
        if let remembered = remembered(digest) { return remembered }
        let generation = memory.withLock { $0.generation }
        let opened = try await backend.open(digest)
        // A remembered temporary blob would have to be forgotten whenever one of its files expires; one that other
        // nodes serve, too, whenever they remove a file.
        guard opened.blob.expires == nil, !opened.content.isRemote else { return opened }
        letGo(memory.withLock { $0.insert(opened, for: digest, of: generation) })
        return opened
    }

    /// The blob, if it can be had without waiting.
    public func remembered(_ digest: BlobDigest) -> OpenBlob? {
        let (found, dropped) = memory.withLock { $0.find(digest) }
        letGo(dropped)
        return found
    }

    private func forget(_ digest: BlobDigest) {
        letGo(memory.withLock { $0.remove(digest) })
    }

    /// Closes the blobs that are remembered and that nobody reads now.
    public func forgetAll() {
        letGo(memory.withLock { $0.removeAll() })
    }

    private func letGo(_ dropped: [OpenBlob]) {
        if !dropped.isEmpty { backend.bytes.close(dropped.map(\.content)) }
    }

    // MARK: Changing

    /// Publishes a blob's bytes, and then makes the row that speaks of them.
    func publish<Value: Sendable>(
        _ digest: BlobDigest, _ bytesThenRow: () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        let value = try await locks.holding(digest, bytesThenRow)
        forget(digest)
        return value
    }

    /// Removes a file; see ``Catalog/destroyFile(_:of:)``.
    func destroy(_ file: File, of owner: Subject?) async throws(BlobError) {
        try await backend.catalog.destroyFile(file.id, of: owner)
        forget(file.digest)
    }

    /// Removes a blob that no file points at, first its row.
    ///
    /// - Returns: `false` when it is not dying any more; else what came of removing its bytes, which are garbage now.
    func remove(_ digest: BlobDigest, dyingFor grace: Duration) async throws(BlobError) -> Result<Bool, BlobError> {
        try await locks.holding(digest) { () throws(BlobError) in
            guard try await backend.catalog.removeBlob(digest, dyingFor: grace) else { return .success(false) }
            forget(digest)
            return await removingBytes(of: digest)
        }
    }

    /// Removes bytes that have no row.
    ///
    /// - Returns: `false` when there is a row: they may have been published just now, their row still to come when it
    ///   was looked for.
    func removeOrphan(_ digest: BlobDigest) async throws(BlobError) -> Result<Bool, BlobError> {
        try await locks.holding(digest) { () throws(BlobError) in
            guard try await !backend.catalog.unknownBlobs(among: [digest]).isEmpty else { return .success(false) }
            return await removingBytes(of: digest)
        }
    }

    private func removingBytes(of digest: BlobDigest) async -> Result<Bool, BlobError> {
        await .catching { () throws(BlobError) in
            try await backend.bytes.remove(digest)
            return true
        }
    }

    // MARK: Verifying

    /// Looks at a blob's bytes, and takes them out of service when they are damaged.
    ///
    /// - Parameter reading: whether to read all of them, or to compare their number only.
    public func verify(
        _ record: BlobRecord, reading: Bool, pace: @Sendable (Int) async -> Void = { _ in }
    ) async throws(BlobError) -> Verdict {
        let first = try await backend.verdict(on: record, reading: reading, pace: pace)
        if !first.isDamage && record.condition == .sound { return first }
        return try await settle(record, in: backend, reading: reading)
    }

    private func settle(
        _ record: BlobRecord, in backend: some Backend, reading: Bool
    ) async throws(BlobError) -> Verdict {
        try await locks.holding(record.digest) { () throws(BlobError) in
            while true {
                // The lock keeps those of this process apart; where others have the same blobs, the record tells
                // whether they were faster.
                let (verdict, place) = try await backend.lookAgain(at: record, reading: reading)
                let isStillSo =
                    switch verdict {
                    case .changed, .missing: try await condemn(record, verdict, at: place, in: backend)
                    case .sound where reading:
                        try await backend.catalog.setCondition(.sound, of: record.digest, at: place)
                    case .sound, .gone: true
                    }
                if isStillSo { return verdict }
            }
        }
    }

    /// - Returns: `false` when other bytes have come in the place of the damaged ones.
    private func condemn<Store: Backend>(
        _ record: BlobRecord, _ verdict: Verdict, at place: Store.Place?, in backend: Store
    ) async throws(BlobError) -> Bool {
        // The mark first: with it, nobody is served bytes that are about to be moved.
        guard try await backend.catalog.setCondition(.damaged, of: record.digest, at: place) else { return false }
        forget(record.digest)
        if record.condition != .damaged {
            damagedBlobs.increment()
            logger.critical(
                "a blob is damaged; its bytes go to quarantine",
                metadata: ["digest": "\(record.digest)", "size": "\(record.size)", "found": "\(verdict)"]
            )
        }
        guard let place else { return true }
        do throws(BlobError) {
            try await backend.bytes.quarantine(record.digest, at: place)
        } catch {
            // The mark protects clients; other blobs must not go unexamined because this one cannot be moved.
            logger.critical(
                "the bytes of a damaged blob could not be moved to quarantine; it is tried when they are read again",
                metadata: ["digest": "\(record.digest)", "error": "\(error)"]
            )
        }
        return true
    }
}

extension Backend {
    fileprivate func open(_ digest: BlobDigest) async throws(BlobError) -> OpenBlob {
        guard var found = try await catalog.located(digest) else { throw BlobError(.blobUnknown) }
        // Its last file may have gone between a look at the rows and one at the bytes, and the same bytes may have been
        // uploaded since, and again: only who misses them every time beside a row misses anything.
        for _ in 0..<3 {
            guard found.blob.condition == .sound else { throw .blobCorrupt }
            do throws(BlobError) {
                let content = try await bytes.open(digest, at: found.place)
                guard content.size == found.blob.size else { break }
                return OpenBlob(blob: found.blob, content: content)
            } catch  where error.reason == .bytesUnknown {
                guard let again = try await catalog.located(digest) else { throw BlobError(.blobUnknown) }
                found = again
            }
        }
        try await catalog.setCondition(.suspected, of: digest, at: found.place)
        throw .blobCorrupt
    }
}
