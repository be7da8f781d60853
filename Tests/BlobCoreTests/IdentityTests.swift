// The identities of uploads and files, and their forms on the wire.

import BlobCore
import Foundation
import Testing

@Suite struct UploadIDTests {
    private static let text = "2f9f2a0b-6d3c-4c4e-9e6f-0a1b2c3d4e5f"

    @Test(arguments: [text, text.uppercased()])
    func parsesEitherCaseAndWritesLowerCase(text: String) throws {
        #expect(try #require(UploadID(parsing: text)).description == Self.text)
    }

    private static let malformed: [String] = [
        "", "uploads", String(text.dropLast()), "\(text)0", "{\(text)}", text.replacing("-", with: ""),
        text.replacing("-", with: "_"), text.replacing("2f9f", with: "2g9f"), " \(text.dropLast())",
        "../\(text.dropLast(3))", text.replacing("2f9f2a0b-", with: "2f9f2a0-b"), String(repeating: "0", count: 36),
        String(repeating: "-", count: 36), text.replacing("2f9", with: "+f9"), text.replacing("2f9f", with: "2fé"),
    ]

    @Test(arguments: malformed)
    func refuses(text: String) {
        #expect(UploadID(parsing: text) == nil)
    }

    @Test func bytesAreThoseOfTheText() throws {
        let id = try #require(UploadID(parsing: Self.text))
        #expect(id.bytes.prefix(5) == [0x2f, 0x9f, 0x2a, 0x0b, 0x6d])
        #expect(id.bytes.suffix(5) == [0x1b, 0x2c, 0x3d, 0x4e, 0x5f])
        #expect(id.bytes.count == 16)
        #expect(UploadID(id.uuid) == id)
    }

    @Test func newIdentitiesDiffer() {
        #expect(Set((0..<1000).map { _ in UploadID() }).count == 1000)
    }
}

@Suite struct FileIDTests {
    /// 2018-01-01 UTC, where the milliseconds of an identity begin.
    private static let epoch = Date(timeIntervalSince1970: 1_514_764_800)

    @Test func wireFormIsThatOfTheReference() throws {
        let id = try #require(FileID(parsing: "NzAwNTUxOTA5NzczMTQ4MTYw"))
        #expect(id.value == 700_551_909_773_148_160)
        #expect(id.description == "NzAwNTUxOTA5NzczMTQ4MTYw")
    }

    @Test(arguments: [0, 1, 9, 10, 700_551_909_773_148_160, Int64.max])
    func wireFormCanBeReadBack(value: Int64) throws {
        let id = try #require(FileID(value: value))
        #expect(FileID(parsing: id.description) == id)
    }

    /// In the comments: the decimal text that each is the base64 of.
    @Test(arguments: [
        "",
        "700551909773148160",
        "NzAwNTUxOTA5NzczMTQ4MTY",  // one digit less, and its padding missing
        "NzAwNTUxOTA5NzczMTQ4MTYw=",
        "NzAwNTUxOTA5NzczMTQ4MTYw\n",
        " NzAwNTUxOTA5NzczMTQ4MTYw",
        "MDE=",  // 01
        "KzE=",  // +1
        "LTE=",  // -1
        "IDE=",  // a space and 1
        "MQ",  // 1, without its padding
        "MR==",  // 1, with bits after it
        "YQ==",  // a
        "2aE=",  // the Arabic digit 1
        "OTIyMzM3MjAzNjg1NDc3NTgwOA==",  // Int64.max + 1
        "MTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=",
        "////", "____", "é", "../..",
    ])
    func refuses(text: String) {
        #expect(FileID(parsing: text) == nil)
    }

    @Test func refusesNegativeNumbers() {
        #expect(FileID(value: -1) == nil)
        #expect(FileID(value: .min) == nil)
    }

    @Test func holdsTheMillisecondsAboveItsSequence() {
        let now = Self.epoch.addingTimeInterval(0.25)
        #expect(FileID(at: now, after: nil).value == 250 << 22)
        #expect(FileID(at: Self.epoch, after: nil).value == 0)
    }

    @Test func growsWithinAMoment() {
        let now = Self.epoch.addingTimeInterval(1_000_000)
        let first = FileID(at: now, after: nil)
        let second = FileID(at: now, after: first)
        #expect(second.value == first.value + 1)
        #expect(first < second)
    }

    @Test func growsWhenTheClockGoesBack() {
        let last = FileID(at: Self.epoch.addingTimeInterval(1_000_000), after: nil)
        for seconds in [999_999.0, 0, -1, -1e9] {
            #expect(FileID(at: Self.epoch.addingTimeInterval(seconds), after: last) > last)
        }
    }

    @Test(arguments: [Double.infinity, -.infinity, .nan, .greatestFiniteMagnitude, 1e300, -1e300, 1e18, 1e10])
    func growsWhateverTheClockTells(seconds: Double) throws {
        let last = try #require(FileID(value: 1000))
        #expect(FileID(at: Date(timeIntervalSinceReferenceDate: seconds), after: last) > last)
    }
}
