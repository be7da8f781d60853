// The name of a blob: the SHA-256 of its bytes.

public import Crypto

/// The SHA-256 digest that names a blob.
///
/// A value of this type is always well formed: text from outside becomes a digest by ``init(parsing:)`` or not at all.
/// The order is that of the digest's bytes.
public struct BlobDigest: Hashable, Sendable {
    /// The number of bytes in a digest.
    public static let byteCount = 32

    // Four big-endian words instead of an array: no allocation, and hashing and comparing cost a few instructions.
    private let first, second, third, fourth: UInt64

    /// Makes a digest of 32 raw bytes; `nil` for any other count.
    public init?(bytes: some Sequence<UInt8>) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var count = 0
        for byte in bytes {
            let value = UInt64(byte)
            switch count / 8 {
            case 0: words.0 = words.0 << 8 | value
            case 1: words.1 = words.1 << 8 | value
            case 2: words.2 = words.2 << 8 | value
            case 3: words.3 = words.3 << 8 | value
            default: return nil
            }
            count += 1
        }
        guard count == Self.byteCount else { return nil }
        (first, second, third, fourth) = words
    }

    /// Reads a digest as clients write it: 64 hexadecimal digits in either case, with or without `sha256:` before them.
    ///
    /// - Throws: ``BlobError/Reason/digestMalformed`` for any other form or algorithm.
    public init(parsing text: some StringProtocol) throws(BlobError) {
        let found = text.utf8.withContiguousStorageIfAvailable(Self.init(text:))
        guard let digest = found ?? Array(text.utf8).withUnsafeBufferPointer(Self.init(text:)) else {
            throw BlobError(.digestMalformed)
        }
        self = digest
    }

    private init?(text: UnsafeBufferPointer<UInt8>) {
        let algorithm: StaticString = "sha256:"
        let prefix = UnsafeBufferPointer(start: algorithm.utf8Start, count: algorithm.utf8CodeUnitCount)
        let digits = text.dropFirst(text.starts(with: prefix) ? prefix.count : 0)
        guard digits.count == 2 * Self.byteCount else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for (position, digit) in digits.enumerated() {
            guard let value = digit.hexDigitValue else { return nil }
            switch position / 16 {
            case 0: words.0 = words.0 << 4 | UInt64(value)
            case 1: words.1 = words.1 << 4 | UInt64(value)
            case 2: words.2 = words.2 << 4 | UInt64(value)
            default: words.3 = words.3 << 4 | UInt64(value)
            }
        }
        (first, second, third, fourth) = words
    }

    /// The digest of bytes that are already in memory.
    public init(of bytes: some Sequence<UInt8>) {
        var hash = SHA256()
        hash.update(data: Array(bytes))
        self.init(hash.finalize())
    }

    /// Takes over a digest that Crypto computed.
    public init(_ digest: SHA256.Digest) {
        guard let value = Self(bytes: digest) else { preconditionFailure("a SHA-256 digest has 32 bytes") }
        self = value
    }

    /// Of all digests that begin with these eight bytes, the one that comes last in their order.
    public static func last(beginningWith word: UInt64) -> BlobDigest {
        BlobDigest(first: word, second: .max, third: .max, fourth: .max)
    }

    private init(first: UInt64, second: UInt64, third: UInt64, fourth: UInt64) {
        (self.first, self.second, self.third, self.fourth) = (first, second, third, fourth)
    }

    /// The 32 bytes.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for word in [first, second, third, fourth] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        return bytes
    }

    /// The 64 lower-case hexadecimal digits, the form that the server names blobs by.
    public var hex: String {
        String(unsafeUninitializedCapacity: 2 * Self.byteCount) { buffer in
            var position = 0
            for word in [first, second, third, fourth] {
                for shift in stride(from: 60, through: 0, by: -4) {
                    let value = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 0xF
                    buffer[position] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
                    position += 1
                }
            }
            return position
        }
    }
}

extension BlobDigest: Comparable {
    public static func < (left: BlobDigest, right: BlobDigest) -> Bool {
        (left.first, left.second, left.third, left.fourth) < (right.first, right.second, right.third, right.fourth)
    }
}

extension BlobDigest: CustomStringConvertible {
    public var description: String { hex }
}
