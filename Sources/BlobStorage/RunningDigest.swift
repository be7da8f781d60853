// The SHA-256 of bytes that are still arriving, in a form that can be stored with their offset and go on elsewhere.

public import BlobCore
private import CLibcrypto

/// A SHA-256 computation that can be interrupted, stored and resumed.
///
/// swift-crypto does not export the state of a computation; OpenSSL's low-level functions do, and they use the
/// processor's SHA instructions. Code that need not store the state uses swift-crypto.
public struct RunningDigest: Sendable {
    private var context = SHA256_CTX()

    /// The digest of no bytes yet.
    public init() {
        SHA256_Init(&context)
    }

    /// The number of bytes taken in so far.
    public var count: Int64 {
        Int64(clamping: (UInt64(context.Nh) << 32 | UInt64(context.Nl)) / 8)
    }

    /// Takes in the next bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        SHA256_Update(&context, start, bytes.count)
    }

    /// The digest of the bytes so far. The computation can go on after it.
    public var digest: BlobDigest {
        var copy = context
        let bytes = [UInt8](unsafeUninitializedCapacity: BlobDigest.byteCount) { buffer, count in
            SHA256_Final(buffer.baseAddress, &copy)
            count = BlobDigest.byteCount
        }
        guard let digest = BlobDigest(bytes: bytes) else { preconditionFailure("SHA-256 makes 32 bytes") }
        return digest
    }
}

/// The stored form: eight state words and the byte count, big-endian, then the bytes of the unfinished block (FIPS
/// 180-4, §6.2). It does not depend on the library or the machine.
extension RunningDigest {
    private static let blockByteCount = 64
    private static let headByteCount = 8 * 4 + 8

    /// The state of the computation, 40 to 103 bytes.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headByteCount + Int(context.num))
        withUnsafeBytes(of: context.h) { words in
            for word in words.bindMemory(to: UInt32.self) {
                withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
            }
        }
        withUnsafeBytes(of: count.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: context.data) { bytes.append(contentsOf: $0.prefix(Int(context.num))) }
        return bytes
    }

    /// Resumes a stored computation; `nil` when the bytes are not one.
    public init?(encoded bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count >= Self.headByteCount else { return nil }
        let count = bytes[32..<40].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let pending = bytes[Self.headByteCount...]
        guard count <= UInt64(Int64.max) / 8, pending.count == Int(count % UInt64(Self.blockByteCount)) else {
            return nil
        }
        self.init()
        withUnsafeMutableBytes(of: &context.h) { words in
            for (index, word) in words.bindMemory(to: UInt32.self).indices.enumerated() {
                let value = bytes[4 * index..<4 * index + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                words.storeBytes(of: value, toByteOffset: 4 * word, as: UInt32.self)
            }
        }
        let bitCount = count * 8
        context.Nl = UInt32(truncatingIfNeeded: bitCount)
        context.Nh = UInt32(truncatingIfNeeded: bitCount >> 32)
        withUnsafeMutableBytes(of: &context.data) { $0.copyBytes(from: pending) }
        context.num = UInt32(pending.count)
    }
}

extension RunningDigest: Equatable {
    public static func == (left: RunningDigest, right: RunningDigest) -> Bool { left.encoded == right.encoded }
}
