// The digests of a range, and of a sample.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Synchronization
import Testing

@Suite struct DigestRangeTests {
    private static func digest(_ word: UInt64) -> BlobDigest { .last(beginningWith: word) }

    @Test func endsAreOutsideAndInside() {
        let range = DigestRange(after: Self.digest(10), through: Self.digest(20))
        for (word, isInside) in [(9, false), (10, false), (11, true), (20, true), (21, false)] as [(UInt64, Bool)] {
            #expect(range.contains(Self.digest(word)) == isInside)
            #expect(DigestRange.all.contains(Self.digest(word)))
        }
    }

    @Test func leadingBytes() {
        #expect(DigestRange.all.leadingBytes == 0...255)
        let word: UInt64 = 0x12_00_00_00_00_00_00_00
        #expect(DigestRange(after: Self.digest(word), through: Self.digest(word << 1)).leadingBytes == 0x12...0x24)
        #expect(DigestRange(after: Self.digest(word), through: nil).leadingBytes == 0x12...0xFF)
        #expect(DigestRange(after: nil, through: Self.digest(word)).leadingBytes == 0...0x12)
    }

    @Test(arguments: [1, 1.5, .infinity]) func aSampleOfAllIsAll(share: Double) {
        #expect(DigestRange.sample(share) == [.all])
    }

    @Test(arguments: [0, 1, 1 << 63, .max - 1, .max] as [UInt64])
    func aSampleIsAsLargeAsItsShare(start: UInt64) {
        for share in [0.001, 0.25, 0.5, 0.999] {
            let ranges = DigestRange.sample(share, after: start)
            // 4,096 digests at equal distances.
            let count = (0..<4096).count { step in
                ranges.contains { $0.contains(Self.digest(UInt64(step) << 52 | 1 << 51)) }
            }
            #expect(abs(Double(count) - share * 4096) <= 1)
            for (left, right) in zip(ranges, ranges.dropFirst()) {
                #expect(left.through.map { through in right.after.map { through <= $0 } ?? false } ?? false)
            }
        }
    }

    @Test func samplesBeginAnywhere() {
        #expect(Set((0..<100).flatMap { _ in DigestRange.sample(0.01).compactMap(\.through) }).count == 100)
    }

    @Test(arguments: [1, 3, 5000]) func aWalkVisitsTheRangeAndNoMore(count: Int) async throws {
        let server = ModelServer()
        var digests: [BlobDigest] = []
        for number in 0..<10 { digests.append(try await server.complete("text \(number)").digest) }
        digests.sort()
        let range = DigestRange(after: digests[2], through: digests[5])
        var visited: [BlobDigest] = []
        try await server.catalog.forEachBlob(in: range) { record in visited.append(record.digest) }
        #expect(visited == Array(digests[3...5]))
        let seen = Mutex<Set<BlobDigest>>([])
        for range in [range, DigestRange(after: digests[8], through: nil)] {
            try await server.catalog.forEachBlob(in: range, jobs: count) { record in
                seen.withLock { _ = $0.insert(record.digest) }
            }
        }
        #expect(seen.withLock { $0 } == Set(digests[3...5] + digests[9...]))
    }
}
