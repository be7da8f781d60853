// The server's forms of names that it cannot hold.

import BlobCore
import SystemPackage
import Testing

@testable import BlobClient

struct RemoteNameTests {
    @Test(
        "what a server can hold stays, percent signs too",
        arguments: [
            "report.pdf", "100%", "Caf%C3%A9.txt", "%zz", "تقرير.pdf", ".hidden", "-rf", "👩‍👩‍👧.jpg", "a b", "%0a", "50%25",
            "می\u{200C}خواهم", "1\u{FE0F}\u{20E3}",
        ])
    func kept(_ name: String) {
        let remote = RemoteName(bytes: Array(name.utf8))
        #expect(remote.text == name && !remote.isChanged)
    }

    @Test(
        "what it cannot hold has a code for each byte, and so have the percent signs beside it",
        arguments: [
            (Array("caf\u{E9}".unicodeScalars.map { UInt8($0.value) }), "caf%E9"),
            (Array("a\nb".utf8), "a%0Ab"), (Array(#"a\b"#.utf8), "a%5Cb"), (Array("\u{85}".utf8), "%C2%85"),
            (Array("5%\u{7F}".utf8), "5%25%7F"), ([0xED, 0xA0, 0x80], "%ED%A0%80"), ([0xF0, 0x9F, 0x98], "%F0%9F%98"),
            (Array("ü".utf8) + [0xFF], "ü%FF"),
        ])
    func encoded(_ bytes: [UInt8], _ text: String) {
        let remote = RemoteName(bytes: bytes)
        #expect(remote.text == text && remote.isChanged)
    }

    @Test(
        "and so has what nobody would see",
        arguments: [
            ("\u{202E}gpj.exe", "%E2%80%AEgpj.exe"), ("a\u{200D}b", "a%E2%80%8Db"),
            ("می\u{200C}\u{200C}خ", "می%E2%80%8C%E2%80%8Cخ"), ("م\u{200C}\\م", "م%E2%80%8C%5Cم"),
            ("\u{FFFF}", "%EF%BF%BF"),
        ])
    func unseen(_ name: String, _ text: String) {
        #expect(RemoteName(bytes: Array(name.utf8)).text == text)
    }

    @Test("no two names become the same, however often they are taken for codes")
    func distinct() {
        var name = Array("a\n".utf8)
        var seen: Set<String> = []
        for _ in 0..<6 {
            let text = RemoteName(bytes: name).text
            #expect(seen.insert(text).inserted, "\(text)")
            name = Array(text.utf8)
        }
        #expect(RemoteName(bytes: Array("a%0A".utf8)).text == "a%250A")
    }

    @Test("a name that becomes too long is cut between codes, and tells its bytes by their digest", arguments: 0..<4)
    func cut(_ offset: Int) {
        let name = Array("12345".utf8.prefix(offset)) + [UInt8](repeating: 0xFF, count: 255 - offset)
        let text = RemoteName(bytes: name).text
        let other = RemoteName(bytes: name.dropLast() + [0xFE]).text
        let parts = text.split(separator: "~")
        #expect((250...255).contains(text.utf8.count) || text.utf8.count > 252, "\(text.utf8.count)")
        #expect(parts.count == 2 && parts[0].hasSuffix("%FF") && parts[1].count == 16, "\(text)")
        #expect(other != text && other.split(separator: "~")[0] == parts[0])
    }

    @Test("a server can hold each, wherever it was cut, and decoding gives the name again")
    func everyName() throws {
        let texts = [
            "a", "م", "%", "\\", "\n", "\u{200C}", "\u{200D}", "\u{FE0F}", "👩", "🏴", "\u{E0067}", "\u{E007F}",
            "\u{202E}", "%0A",
        ]
        let some: [[UInt8]] = texts.map { Array($0.utf8) } + [[0xFF], [0xED, 0xA0, 0x80]]
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            var name: [UInt8] = []
            for _ in 0..<Int.random(in: 1...60, using: &generator) {
                name += some.randomElement(using: &generator) ?? []
            }
            let remote = RemoteName(bytes: Array(name.prefix(255)))
            #expect(try FileName(parsing: remote.text).text == remote.text)
            guard !remote.text.contains("~"), remote.isChanged else { continue }
            #expect(PercentEncoding.bytes(remote.text[...]) == Array(name.prefix(255)))
        }
    }

    @Test("tells the character that nobody would see, of a name and of a folder on the way")
    func hidden() {
        #expect(RemoteName("a\u{202E}").hidden?.description == "U+202E RIGHT-TO-LEFT OVERRIDE")
        #expect(RemotePath("a\u{200B}/b").hidden?.description == "U+200B ZERO WIDTH SPACE")
        #expect(RemoteName(#"a\b"#).hidden == nil && RemoteName("a").hidden == nil)
    }

    @Test("a path has the same names, and none where it is too long")
    func path() {
        #expect(RemotePath("photos/a\n/b").text == "photos/a%0A/b" && RemotePath("photos/a\n/b").isChanged)
        let name = String(repeating: "n", count: 255)
        #expect(RemotePath(FilePath("\(name)/\(name)/\(name)/\(name)")).text?.utf8.count == 1023)
        #expect(RemotePath(FilePath("\(name)/\(name)/\(name)/\(name)/n")).text == nil)
    }
}
