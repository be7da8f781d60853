// The operations of the random test of byte stores, and how one is picked.

import BlobCore
import BlobStorage

/// One thing that can be done to a byte store. Uploads are named by their number in the world.
enum ByteStoreOperation: Sendable {
    /// Opens a writer, closing the one before.
    case open(upload: Int)
    /// Writes that many bytes, cut into that many buffers.
    case write(upload: Int, count: Int, buffers: Int, seed: UInt64)
    /// - Parameter recording: whether the row is advanced too, before whatever comes next.
    case flush(upload: Int, recording: Bool)
    case publish(upload: Int)
    case close(upload: Int)
    /// Discards an upload, and puts a new one in its place.
    case discard(upload: Int)
    case remove(BlobDigest)
    case restart
}

extension ByteStoreOperation {
    static func random(in world: ByteStoreWorld, using generator: inout SplitMix64) -> ByteStoreOperation {
        let upload = Int.random(in: world.uploads.indices, using: &generator)
        return switch Int.random(in: 0..<100, using: &generator) {
        case 0..<15: .open(upload: upload)
        case 15..<50: write(to: upload, using: &generator)
        case 50..<68: .flush(upload: upload, recording: Int.random(in: 0..<4, using: &generator) > 0)
        case 68..<78: .publish(upload: upload)
        case 78..<85: .close(upload: upload)
        case 85..<90: .discard(upload: upload)
        case 90..<96: .remove(world.digests.randomElement(using: &generator) ?? BlobDigest(of: []))
        default: .restart
        }
    }

    private static func write(to upload: Int, using generator: inout SplitMix64) -> ByteStoreOperation {
        .write(
            upload: upload, count: [0, 1, 63, 64, 100, 4096, 5000, 300_000].pick(&generator),
            buffers: Int.random(in: 0...6, using: &generator),
            // So few contents that uploads of the same bytes are frequent.
            seed: UInt64.random(in: 0..<2, using: &generator)
        )
    }
}
