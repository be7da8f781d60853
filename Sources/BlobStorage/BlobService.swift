// The rules of downloads: which blob, its bytes, and the memory of both.

public import BlobCore
import Dispatch
import Synchronization

/// A blob that can be sent: its record and its opened bytes.
public struct OpenBlob: Sendable {
    public let blob: Blob
    public let content: BlobContent
}

/// Finds blobs and opens their bytes.
///
/// Recently used ones are remembered with their open files, so that a popular small blob costs neither a query nor an
/// `open`. Whatever changes a blob's files in this process must call ``forget(_:)`` before it is acknowledged.
public final class BlobService: Sendable {
    fileprivate struct Memory {
        var recent: [BlobDigest: OpenBlob] = [:]
        var older: [BlobDigest: OpenBlob] = [:]
        /// Raised by every forgetting, so that a lookup begun before it is not remembered after it.
        var generation: UInt64 = 0
    }

    private let catalog: any Catalog
    private let bytes: any ByteStore
    private let capacity: Int
    private let memory = Mutex(Memory())

    /// - Parameter capacity: blobs to remember; each holds a file descriptor.
    public init(catalog: any Catalog, bytes: any ByteStore, capacity: Int = 2048) {
        self.catalog = catalog
        self.bytes = bytes
        self.capacity = capacity
    }

    /// Opens a blob that a live file points at.
    ///
    /// - Throws: ``BlobError/Code/blobUnknown``.
    public func open(_ digest: BlobDigest) async throws(BlobError) -> OpenBlob {
        if let remembered = remembered(digest) { return remembered }
        let generation = memory.withLock { $0.generation }
        guard let blob = try await catalog.blob(digest) else {
            throw BlobError(.blobUnknown, "There is no blob of this digest here.")
        }
        let opened = OpenBlob(blob: blob, content: try await content(of: blob))
        // What is remembered of a temporary blob would have to be forgotten whenever one of its files expires; of one
        // that other nodes serve, too, whenever they remove one.
        guard blob.expires == nil, !opened.content.isRemote else { return opened }
        letGo(
            memory.withLock { memory in
                guard memory.generation == generation else { return [:] }
                return memory.insert(opened, for: digest, capacity: capacity)
            }
        )
        return opened
    }

    /// Records that a blob's bytes could not be read: somebody has to look at them.
    ///
    /// - Parameter place: where they are. `nil` for bytes that were missed, and for those of a store that has recorded
    ///   by itself what it met: the bytes that another upload has put there since are not meant.
    public func suspect(_ digest: BlobDigest, at place: (any Sendable)? = nil) async throws(BlobError) {
        try await catalog.setCondition(.suspected, of: digest, at: place)
    }

    private func content(of blob: Blob) async throws(BlobError) -> BlobContent {
        guard blob.condition == .sound else { throw .blobCorrupt }
        var place = blob.place
        // Its last file may have gone between a look at the rows and one at the bytes, and the same bytes may have been
        // uploaded since, and again: only who misses them every time beside a row misses anything.
        for _ in 0..<3 {
            do throws(BlobError) {
                let content = try await bytes.open(blob.digest, at: place)
                guard content.size == blob.size else { break }
                return content
            } catch  where error.code == .blobUnknown {
                guard let found = try await catalog.blob(blob.digest) else { throw error }
                guard found.condition == .sound else { throw .blobCorrupt }
                place = found.place
            }
        }
        try await suspect(blob.digest, at: place)
        throw .blobCorrupt
    }

    /// The blob, if it can be had without waiting.
    public func remembered(_ digest: BlobDigest) -> OpenBlob? {
        let (found, dropped) = memory.withLock { $0.find(digest, capacity: capacity) }
        letGo(dropped)
        return found
    }

    /// Closes the files of blobs on a thread of their own: closing many takes long, and may block.
    private func letGo(_ dropped: [BlobDigest: OpenBlob]) {
        guard !dropped.isEmpty else { return }
        DispatchQueue.global(qos: .utility).async { withExtendedLifetime(dropped) {} }
    }

    /// Forgets a blob.
    public func forget(_ digest: BlobDigest) {
        // The files are closed after the lock is released: closing may block.
        let forgotten = memory.withLock { memory in
            memory.generation &+= 1
            return (memory.recent.removeValue(forKey: digest), memory.older.removeValue(forKey: digest))
        }
        _ = forgotten
    }
}

/// Two generations instead of a list in the order of use: a use costs one look, and what was not used while half the
/// capacity passed by is dropped at once.
extension BlobService.Memory {
    /// The blob, and those that are remembered no longer.
    mutating func find(_ digest: BlobDigest, capacity: Int) -> (OpenBlob?, dropped: [BlobDigest: OpenBlob]) {
        if let found = recent[digest] { return (found, [:]) }
        guard let found = older.removeValue(forKey: digest) else { return (nil, [:]) }
        return (found, insert(found, for: digest, capacity: capacity))
    }

    /// - Returns: the blobs that are remembered no longer.
    mutating func insert(_ opened: OpenBlob, for digest: BlobDigest, capacity: Int) -> [BlobDigest: OpenBlob] {
        var dropped: [BlobDigest: OpenBlob] = [:]
        if recent.count >= capacity / 2 {
            dropped = older
            older = recent
            recent = [:]
        }
        recent[digest] = opened
        return dropped
    }
}
