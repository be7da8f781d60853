// The SHA-256 of bytes as they come.

import BlobCore
import Crypto

/// A SHA-256 computation that knows how many bytes it has taken in. A copy goes on by itself.
struct CountingDigest: Sendable {
    private var hash = SHA256()
    /// The bytes taken in so far.
    private(set) var count: Int64 = 0

    /// Takes in the next bytes.
    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bufferPointer: bytes)
        count += Int64(bytes.count)
    }

    /// The digest of the bytes so far. The computation can go on after it.
    var digest: BlobDigest { BlobDigest(hash.finalize()) }
}
