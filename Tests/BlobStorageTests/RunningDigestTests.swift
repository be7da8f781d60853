// An interrupted SHA-256 goes on as if it had not been interrupted, and malformed states are refused.

import BlobCore
import BlobStorage
import Crypto
import Testing

@Suite struct RunningDigestTests {
    /// Bytes that differ from their neighbours.
    private static let content = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 / 256) }

    private func running(_ bytes: some Collection<UInt8>) -> RunningDigest {
        var digest = RunningDigest()
        Array(bytes).withUnsafeBytes { digest.update($0) }
        return digest
    }

    private func reference(_ bytes: some Collection<UInt8>) -> BlobDigest {
        BlobDigest(SHA256.hash(data: Array(bytes)))
    }

    @Test(arguments: 0...200)
    func resumesAtEveryLength(length: Int) throws {
        let head = Self.content[..<length]
        let encoded = running(head).encoded
        #expect(encoded.count == 40 + length % 64)
        var resumed = try #require(RunningDigest(encoded: encoded))
        #expect(resumed == running(head))
        #expect(resumed.encoded == encoded)
        #expect(resumed.count == Int64(length))
        #expect(resumed.digest == reference(head))
        for more in [1, 63, 64, 65, 300] {
            Self.content[length..<(length + more)].withUnsafeBytes { resumed.update($0) }
            #expect(resumed.digest == reference(Self.content[..<(length + more)]))
            resumed = try #require(RunningDigest(encoded: encoded))
        }
    }

    @Test func countsBytes() {
        var digest = RunningDigest()
        #expect(digest.count == 0)
        for step in 1...20 {
            Self.content[..<37].withUnsafeBytes { digest.update($0) }
            #expect(digest.count == Int64(step * 37))
        }
    }

    @Test func digestDoesNotEndTheComputation() {
        var digest = running(Self.content[..<100])
        for _ in 0..<2 { #expect(digest.digest == reference(Self.content[..<100])) }
        Self.content[100...].withUnsafeBytes { digest.update($0) }
        #expect(digest.digest == reference(Self.content))
    }

    @Test func noBytesChangeNothing() {
        var digest = running(Self.content)
        digest.update(UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(digest == running(Self.content))
        #expect(RunningDigest().digest == reference([]))
    }

    @Test func isAValue() {
        let original = running(Self.content[..<10])
        var copy = original
        Self.content[10..<20].withUnsafeBytes { copy.update($0) }
        #expect(original.digest == reference(Self.content[..<10]))
        #expect(copy.digest == reference(Self.content[..<20]))
    }

    @Test func equalityIsThatOfTheBytes() {
        #expect(running(Self.content[..<100]) == running(Self.content[..<100]))
        #expect(running(Self.content[..<100]) != running(Self.content[..<101]))
        #expect(running([1]) != running([2]))
    }

    /// The stored form is that of the standard, so that another program, or this one on another machine, can go on.
    @Test func storedFormIsThatOfTheStandard() {
        let start: [UInt8] = [
            0x6a, 0x09, 0xe6, 0x67, 0xbb, 0x67, 0xae, 0x85, 0x3c, 0x6e, 0xf3, 0x72, 0xa5, 0x4f, 0xf5, 0x3a,
            0x51, 0x0e, 0x52, 0x7f, 0x9b, 0x05, 0x68, 0x8c, 0x1f, 0x83, 0xd9, 0xab, 0x5b, 0xe0, 0xcd, 0x19,
        ]
        #expect(RunningDigest().encoded == start + [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(running(Array("abc".utf8)).encoded == start + [0, 0, 0, 0, 0, 0, 0, 3] + Array("abc".utf8))
    }

    /// SHA-256 counts bits, and 512 MiB are the first number of bytes whose bits need more than 32 bits.
    @Test func resumesBeyondHalfAGibibyte() throws {
        let chunk = [UInt8](repeating: 7, count: 16 << 20)
        var (digest, uninterrupted) = (RunningDigest(), SHA256())
        for _ in 0..<33 {
            digest = try #require(RunningDigest(encoded: digest.encoded))
            chunk.withUnsafeBytes { bytes in
                digest.update(bytes)
                uninterrupted.update(bufferPointer: bytes)
            }
        }
        #expect(digest.count == 33 << 24)
        #expect(digest.digest == BlobDigest(uninterrupted.finalize()))
    }

    @Test func resumesBeyondFourGibibytes() throws {
        // A state whose count is past 2^32 bytes; the words are those of any computation.
        var encoded = running(Self.content[..<64]).encoded
        let count = Int64(5) << 32
        encoded.replaceSubrange(32..<40, with: withUnsafeBytes(of: count.bigEndian) { Array($0) })
        var digest = try #require(RunningDigest(encoded: encoded))
        #expect(digest.count == count)
        Self.content[..<100].withUnsafeBytes { digest.update($0) }
        #expect(digest.count == count + 100)
        #expect(RunningDigest(encoded: digest.encoded) == digest)
    }

    @Test(arguments: 0..<40)
    func refusesAShortForm(count: Int) {
        #expect(RunningDigest(encoded: running(Self.content).encoded.prefix(count)) == nil)
    }

    @Test(arguments: [0, 1, 63, 64, 65, 127])
    func refusesMissingOrSurplusBytes(length: Int) {
        let encoded = running(Self.content[..<length]).encoded
        #expect(RunningDigest(encoded: encoded + [0]) == nil)
        #expect(RunningDigest(encoded: encoded + [UInt8](repeating: 0, count: 64)) == nil)
        #expect(RunningDigest(encoded: encoded.dropLast()) == nil)
    }

    @Test(arguments: [UInt64.max, UInt64(Int64.max), UInt64(Int64.max) / 8 + 1, 1 << 63])
    func refusesImpossibleCounts(count: UInt64) {
        var encoded = RunningDigest().encoded
        encoded.replaceSubrange(32..<40, with: withUnsafeBytes(of: count.bigEndian) { Array($0) })
        encoded += [UInt8](repeating: 0, count: Int(count % 64))
        #expect(RunningDigest(encoded: encoded) == nil)
    }
}
