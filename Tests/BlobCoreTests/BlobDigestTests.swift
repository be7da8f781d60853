// Which texts and bytes are digests, and the order of digests.

import BlobCore
import Testing

@Suite struct BlobDigestTests {
    private static let lower = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    private static let upper = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
    private static let mixed = "Ba7816bF8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015aD"

    @Test(arguments: [lower, upper, mixed, "sha256:" + lower, "sha256:" + upper])
    func parses(text: String) throws {
        let digest = try BlobDigest(parsing: text)
        #expect(digest == BlobDigest(of: "abc".utf8))
        #expect(digest.hex == Self.lower)
        #expect("\(digest)" == Self.lower)
    }

    private static let head = String(lower.dropLast())
    private static let malformed: [String] = [
        "", "sha256:", "sha256", head, "\(lower)0", "\(lower)\(lower)", "sha256:\(head)", "sha256:sha256:\(lower)",
        "SHA256:\(lower)", "sha512:\(lower)", "sha-256:\(lower)", "md5:\(lower)", "0x\(lower.dropFirst(2))",
        " \(lower)", "\(lower) ", "\(lower)\n", " \(head)", "\(head)g", "\(head)-", "\(head)\u{0}",
        "\(lower.dropLast(2))é", "\(lower.dropLast(4))٣٤",
        String(repeating: "/", count: 64), String(repeating: ":", count: 64),
        String(repeating: "@", count: 64), String(repeating: "`", count: 64), String(repeating: "ａ", count: 64),
    ]

    @Test(arguments: malformed)
    func refuses(text: String) {
        do throws(BlobError) {
            let digest = try BlobDigest(parsing: text)
            Issue.record("'\(text)' was taken as \(digest)")
        } catch {
            #expect(error.reason == .digestMalformed)
        }
    }

    @Test func parsesPartsOfATextToo() throws {
        let path = "/api/blobs/\(Self.lower)"
        #expect(try BlobDigest(parsing: path.dropFirst(11)).hex == Self.lower)
    }

    @Test func bytesAndBack() throws {
        let bytes = (0..<32).map { UInt8($0 * 8) }
        let digest = try #require(BlobDigest(bytes: bytes))
        #expect(digest.bytes == bytes)
        #expect(digest.hex.hasPrefix("0008101820283038"))
        #expect(try BlobDigest(parsing: digest.hex) == digest)
    }

    @Test(arguments: [0, 1, 31, 33, 64])
    func refusesOtherCountsOfBytes(count: Int) {
        #expect(BlobDigest(bytes: [UInt8](repeating: 7, count: count)) == nil)
    }

    @Test func digestOfNoBytes() {
        #expect(
            BlobDigest(of: []).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        )
    }

    @Test func orderIsThatOfTheBytes() throws {
        let digests = (0..<200).map { BlobDigest(of: "\($0)".utf8) }.sorted()
        for (left, right) in zip(digests, digests.dropFirst()) {
            #expect(left < right)
            #expect(!(right < left))
            #expect(left.bytes.lexicographicallyPrecedes(right.bytes))
            #expect(left.hex < right.hex)
        }
    }

    /// A difference in any byte decides, wherever it is.
    @Test(arguments: 0..<32)
    func everyByteCounts(position: Int) throws {
        var bytes = [UInt8](repeating: 0x7F, count: 32)
        let middle = try #require(BlobDigest(bytes: bytes))
        bytes[position] = 0x80
        let greater = try #require(BlobDigest(bytes: bytes))
        #expect(middle < greater)
        #expect(middle != greater)
        #expect(Set([middle, greater, middle]).count == 2)
    }
}
