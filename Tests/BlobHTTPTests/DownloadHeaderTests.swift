// The headers of a download's request and answer.

import BlobCore
import BlobStorageTesting
import HTTPTypes
import NIOCore
import Testing

@testable import BlobHTTP
@testable import BlobStorage
@testable import HTTPServerCore

@Suite struct DownloadHeaderTests {
    @Test(
        arguments: [
            ("bytes=0-0", 0..<1), ("bytes=0-9", 0..<10), ("bytes=0-99", 0..<10), ("bytes=5-", 5..<10),
            ("bytes=-3", 7..<10), ("bytes=-99", 0..<10), ("bytes=9-9", 9..<10), ("BYTES=1-2", 1..<3),
            ("bytes=0-99999999999999999999", 0..<10), ("bytes=-99999999999999999999", 0..<10),
        ] as [(String, Range<Int64>)])
    func satisfiableRanges(_ text: String, _ range: Range<Int64>) {
        #expect(ByteRange(parsing: text, size: 10) == .satisfiable(range))
    }

    @Test(arguments: ["bytes=10-", "bytes=10-11", "bytes=3-2", "bytes=-0", "bytes=99999999999999999999-"])
    func unsatisfiableRanges(_ text: String) {
        #expect(ByteRange(parsing: text, size: 10) == .unsatisfiable)
    }

    @Test(arguments: [
        "bytes=0-1,3-4", "items=0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=+1-2", "0-1", "",
    ])
    func ignoredRanges(_ text: String) {
        #expect(ByteRange(parsing: text, size: 10) == nil)
    }

    @Test(arguments: ["bytes=0-", "bytes=0-0", "bytes=-1"])
    func nothingOfNothing(_ text: String) {
        #expect(ByteRange(parsing: text, size: 0) == .unsatisfiable)
    }

    @Test(arguments: [
        ("a.txt", #"attachment; filename="a.txt""#),
        ("a \"b\".txt", #"attachment; filename="a \"b\".txt""#),
        ("naïve.txt", #"attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt"#),
        ("تقرير.pdf", #"attachment; filename="_____.pdf"; filename*=UTF-8''%D8%AA%D9%82%D8%B1%D9%8A%D8%B1.pdf"#),
    ])
    func dispositions(_ name: String, _ header: String) throws {
        #expect(contentDisposition(try FileName(parsing: name)) == header)
    }

    @Test(arguments: [
        ("\u{202E}gpj.exe", #"attachment; filename="_gpj.exe""#),
        ("ن\u{200B}\u{9B}.exe", #"attachment; filename="___.exe"; filename*=UTF-8''%D9%86__.exe"#),
    ])
    func dispositionsOfNamesThatEarlierVersionsTook(_ name: String, _ header: String) {
        #expect(contentDisposition(FileName(trusted: name)) == header)
    }

    @Test(arguments: [
        ("*", true, true), (#""t""#, true, true), (#""x", "t""#, true, true), (#"W/"t""#, true, false),
        (#""x""#, false, false), ("t", false, false), (#" * "#, true, true), (#""T""#, false, false),
        ("", false, false),
        (#"w/"t""#, false, false), (#"W/ "t""#, false, false), (#""t"#, false, false), (#""x","#, false, false),
        // A comma is one, whatever stands before or behind it, but for that of a tag.
        ("\u{601},\"t\"", true, true), (",,\"\u{601}\",\u{301},\t\"t\"", true, true), (#""a,"t"#, false, false),
        (#""a, b","t""#, true, true), (#""a,"t","t""#, false, false), (#"t,"t""#, true, true),
        (String(repeating: ",", count: 8 * 1024 - 3) + #""t""#, true, true),
        (String(repeating: ",", count: 8 * 1024 - 2) + #""t""#, false, false),
    ])
    func entityTags(_ condition: String, _ weakly: Bool, _ strongly: Bool) {
        #expect(EntityTags.match(condition, #""t""#, weakly: true) == weakly)
        #expect(EntityTags.match(condition, #""t""#, weakly: false) == strongly)
    }

    @Test(arguments: [(0, 100), (60, 40), (100, 0), (160, 0)])
    func temporaryBlobsAreCachedNoLongerThanTheyLive(_ age: Int, _ rest: Int) throws {
        let clock = ManualClock()
        let blob = Blob(
            digest: try BlobDigest(parsing: String(repeating: "0", count: 64)), size: 1,
            name: try FileName(parsing: "a"), expires: clock.time(in: .seconds(100))
        )
        clock.advance(by: .seconds(age))
        let policy = DownloadPolicy(isPrivate: false, crossOriginResourcePolicy: "same-site", clock: clock)
        let head = HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/")
        let (answer, _) = try policy.answer(to: Request(head: head, body: RequestBody(length: 0) {}), with: blob)
        #expect(answer.fields[.cacheControl] == "public, max-age=\(rest)")
    }

    @Test(arguments: [
        ("a.PDF", "application/pdf"), ("a.tar.gz", "application/gzip"), ("a", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ])
    func mediaTypes(_ name: String, _ type: String) throws {
        #expect(mediaType(of: try FileName(parsing: name)) == type)
    }
}
