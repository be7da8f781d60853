// A part of all blobs, by their names.

public import BlobCore

/// Digests that are neighbours in their order, and with them the blobs of those names.
public struct DigestRange: Equatable, Sendable {
    /// The digest before the first one; `nil` where that is the first of all.
    public let after: BlobDigest?
    /// The last digest; `nil` where that is the last of all.
    public let through: BlobDigest?

    public static let all = DigestRange(after: nil, through: nil)

    public init(after: BlobDigest?, through: BlobDigest?) {
        (self.after, self.through) = (after, through)
    }

    public func contains(_ digest: BlobDigest) -> Bool {
        if let after, digest <= after { return false }
        if let through, digest > through { return false }
        return true
    }

    /// What the first bytes of its digests can be.
    public var leadingBytes: ClosedRange<UInt8> {
        (after?.bytes.first ?? .min)...(through?.bytes.first ?? .max)
    }

    /// A random sample of all blobs: digests are as good as random, so neighbours have no more in common than any
    /// others, and are found without a look at the rest.
    ///
    /// - Parameters:
    ///   - share: of all digests, above 0.
    ///   - start: of a digest, the first eight bytes. The sample begins after it, and goes on with the first of all
    ///     digests after the last.
    /// - Returns: one range, or two in the order of their digests.
    public static func sample(_ share: Double, after start: UInt64 = .random(in: 0 ... .max)) -> [DigestRange] {
        guard share < 1 else { return [.all] }
        let end = start &+ UInt64(share * 0x1p64)
        let (first, last) = (BlobDigest.last(beginningWith: start), BlobDigest.last(beginningWith: end))
        if end >= start { return [DigestRange(after: first, through: last)] }
        return [DigestRange(after: nil, through: last), DigestRange(after: first, through: nil)]
    }
}
