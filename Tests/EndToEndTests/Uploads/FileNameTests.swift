// Contract, uploads: `filename` is UTF-8, at most 255 bytes, without control characters; a directory part is dropped.

import Foundation
import Testing

@Suite("filename", .inTurn)
struct FileNameTests {
    static let arabic = "تقرير المبيعات.pdf"
    static let longest = String(repeating: "n", count: 251) + ".txt"
    static let longestArabic = String(repeating: "ش", count: 127) + "x"

    /// As sent, percent-encoded, and as it must come back.
    static let taken: [(String, String)] = [
        ("plain.txt", "plain.txt"),
        (Request.encoded(arabic), arabic),
        (Request.encoded("👩‍👩‍👧 family 🎉.png"), "👩‍👩‍👧 family 🎉.png"),
        (Request.encoded("e\u{301}.txt"), "e\u{301}.txt"),
        (longest, longest),
        (Request.encoded(longestArabic), longestArabic),
        ("dir/part.txt", "part.txt"), ("dir%2Fpart.txt", "part.txt"), ("/etc/passwd", "passwd"),
        ("..%2F..%2Fetc%2Fshadow", "shadow"), ("C%3A%5CUsers%5Cme%5Creport.doc", "report.doc"),
        ("a%2Fb%5Cc.txt", "c.txt"), ("a%5Cb%2Fc.txt", "c.txt"),
        ("a%20b.txt", "a b.txt"), ("a+b.txt", "a b.txt"), ("a%2Bb.txt", "a+b.txt"),
        ("a%26b%3Dc%23d%3F.txt", "a&b=c#d?.txt"), ("100%25.txt", "100%.txt"), ("a%22b%27c.txt", "a\"b'c.txt"),
        ("%E2%80%AEgpj.exe", "\u{202E}gpj.exe"), (".hidden", ".hidden"), ("a;b.txt", "a;b.txt"),
    ]

    @Test("a name comes back as it was given, without its directory part", arguments: taken)
    func comesBack(_ sent: String, _ name: String) async throws {
        let client = try await Client.shared
        let request = Request(method: "POST", target: "/api/blobs/uploads?filename=" + sent)
        let upload = try Upload(await client.send(request))
        let published = try await client.complete(upload, .bytes(Sample.bytes(10)))
        #expect(published.body["name"]?.string?.unicodeScalars.elementsEqual(name.unicodeScalars) == true)
        let download = try await client.send(.head(published.digest))
        #expect(try ContentDisposition(download).name == name)
    }

    @Test(
        "more than 255 bytes, control characters, or what is not UTF-8: 400 VALIDATE_FAILED naming the parameter",
        arguments: [
            longest + "x", Request.encoded(longestArabic + "x"), "a%00.txt", "a%0Ab.txt", "a%0D%0AX-Evil%3A%201",
            "a%1Fb",
            "a%7Fb", "a%09b", "a%C2%85b", "%FF.txt", "a%C3%28", "%C0%AF", "%ED%A0%80", "%F4%90%80%80", "a%E2%82", "a%",
            "a%4", "a%zz",
        ])
    func isRefused(_ sent: String) async throws {
        let request = Request(method: "POST", target: "/api/blobs/uploads?filename=" + sent)
        expect(try await Client.shared.send(request), is: .validateFailed, naming: "filename")
    }

    @Test("without a name the file is called by its digest")
    func unnamed() async throws {
        let client = try await Client.shared
        let published = try await client.publish(Sample.bytes(10))
        let download = try await client.send(.head(published.digest))
        #expect(try ContentDisposition(download).name == published.digest)
    }
}
