// The blobs that were opened lately.

import BlobCore

/// Two generations instead of a list in the order of use: a use costs one look, and blobs that were not used while half
/// the capacity passed by are dropped at once.
struct BlobMemory {
    private var recent: [BlobDigest: OpenBlob] = [:]
    private var older: [BlobDigest: OpenBlob] = [:]
    private let capacity: Int
    /// Raised by every forgetting, so that a lookup begun before it is not remembered after it.
    private(set) var generation: UInt64 = 0

    /// - Parameter capacity: blobs to remember.
    init(capacity: Int) {
        self.capacity = capacity
    }

    /// The blob, and those that are remembered no longer.
    mutating func find(_ digest: BlobDigest) -> (OpenBlob?, dropped: [OpenBlob]) {
        if let found = recent[digest] { return (found, []) }
        guard let found = older.removeValue(forKey: digest) else { return (nil, []) }
        return (found, insert(found, for: digest))
    }

    /// - Parameter generation: that of before the blob was looked up.
    /// - Returns: the blobs that are remembered no longer.
    mutating func insert(_ opened: OpenBlob, for digest: BlobDigest, of generation: UInt64) -> [OpenBlob] {
        generation == self.generation ? insert(opened, for: digest) : []
    }

    private mutating func insert(_ opened: OpenBlob, for digest: BlobDigest) -> [OpenBlob] {
        var dropped: [OpenBlob] = []
        if recent.count >= capacity / 2 {
            dropped = Array(older.values)
            older = recent
            recent = [:]
        }
        recent[digest] = opened
        return dropped
    }

    /// - Returns: the opened blobs that were remembered.
    mutating func removeAll() -> [OpenBlob] {
        defer { (recent, older) = ([:], [:]) }
        return Array(recent.values) + Array(older.values)
    }

    /// - Returns: the opened blobs that were remembered under the digest.
    mutating func remove(_ digest: BlobDigest) -> [OpenBlob] {
        generation &+= 1
        return [recent.removeValue(forKey: digest), older.removeValue(forKey: digest)].compactMap(\.self)
    }
}
