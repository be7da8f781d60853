// The header that says which bytes of a whole a message holds.

import BlobCore
import Testing

@Suite struct ContentRangeTests {
    @Test(arguments: [
        (0..<1, Int64?.some(1), "bytes 0-0/1"), (5..<10, 1000, "bytes 5-9/1000"), (5..<10, nil, "bytes 5-9/*"),
        (0..<Int64.max, .max, "bytes 0-9223372036854775806/9223372036854775807"),
    ])
    func bothWays(_ range: Range<Int64>, _ size: Int64?, _ text: String) {
        let value = ContentRange(range, of: size)
        #expect(value.description == text && ContentRange(parsing: text) == value)
        #expect((value.first, value.last + 1) == (range.lowerBound, range.upperBound))
    }

    @Test func theUnitHasNoCase() {
        #expect(ContentRange(parsing: "Bytes 5-9/10") == ContentRange(5..<10, of: 10))
    }

    @Test(arguments: [
        "", "bytes", "bytes ", "5-9/10", "bytes 5-9", "bytes 5-9/", "bytes 5-9/x", "bytes 9-5/10", "bytes -5/10",
        "bytes 5-/10", "bytes 5/10", "bytes +5-9/10", "bytes 5-9-10/11", "bytes 5-9/10/11", "bytes 5-9/-1",
        "bytes */10",
        "bytes 0-9223372036854775808/*", "bytes 5-9/9223372036854775808", "bytes  5-9/10", "lines 5-9/10",
        "bytes \u{0665}-9/10",
    ])
    func anythingElseIsNone(_ text: String) {
        #expect(ContentRange(parsing: text) == nil)
    }

    @Test func whereNoByteIsThere() {
        #expect(ContentRange.unsatisfied(size: 1000) == "bytes */1000")
    }
}
