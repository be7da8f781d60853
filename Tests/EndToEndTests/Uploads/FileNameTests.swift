// Contract, uploads: `filename` is UTF-8, at most 255 bytes, nothing in it that a reader would not see; a directory
// part is dropped.

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
        (Request.encoded("می\u{200C}خواهم.txt"), "می\u{200C}خواهم.txt"),
        (
            Request.encoded("क्\u{200D}ष 🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F} 1\u{FE0F}\u{20E3}"),
            "क्\u{200D}ष 🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F} 1\u{FE0F}\u{20E3}"
        ),
        (".hidden", ".hidden"), ("a;b.txt", "a;b.txt"),
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

    @Test(
        "what a reader would not see: 400 VALIDATE_FAILED naming the parameter and the character",
        arguments: [
            ("%E2%80%AEgpj.exe", "U+202E RIGHT-TO-LEFT OVERRIDE"), ("a%E2%81%A6b", "U+2066 LEFT-TO-RIGHT ISOLATE"),
            ("a%E2%80%8Fb", "U+200F RIGHT-TO-LEFT MARK"), ("a%D8%9Cb", "U+061C ARABIC LETTER MARK"),
            ("a%E2%80%8Bb", "U+200B ZERO WIDTH SPACE"), ("a%EF%BB%BFb", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
            ("a%E2%80%8Db", "U+200D ZERO WIDTH JOINER"), ("%E2%80%8Ca", "U+200C ZERO WIDTH NON-JOINER"),
            ("a%F3%A0%80%81", "U+E0001 LANGUAGE TAG"), ("a%E2%80%A8", "U+2028 LINE SEPARATOR"),
            ("a%C2%9Bb", "U+009B CONTROL CHARACTER"), ("a%1B%5B31m", "U+001B ESCAPE"),
            ("a%EF%BF%BFb", "U+FFFF NONCHARACTER"), ("a%ED%A0%80b", "U+D800"), ("%ED%BF%BF", "U+DFFF"),
        ])
    func unseen(_ sent: String, _ character: String) async throws {
        for parameter in ["filename", "path"] {
            let request = Request(method: "POST", target: "/api/blobs/uploads?\(parameter)=" + sent)
            let answer = try await Client.shared.send(request)
            expect(answer, is: .validateFailed, naming: "The parameter '\(parameter)' holds \(character)")
        }
    }

    @Test("without a name the file is called by its digest")
    func unnamed() async throws {
        let client = try await Client.shared
        let published = try await client.publish(Sample.bytes(10))
        let download = try await client.send(.head(published.digest))
        #expect(try ContentDisposition(download).name == published.digest)
    }
}
