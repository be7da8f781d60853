// The blobs that words of a command line name, and the names of downloads in a folder.

import BlobCore
import Testing

@testable import blob

struct BlobReferenceTests {
    private static let hex = String(repeating: "0a", count: 32)

    @Test(arguments: [
        (hex, "digest"), ("sha256:" + hex, "digest"), (hex.uppercased(), "digest"),
        ("https://h/api/blobs/" + hex, "https://h"), ("HTTP://h:1/x/api/blobs/sha256%3A\(hex)?a=b#c", "HTTP://h:1/x"),
        ("NzAwNTUxOTA5NzczMTQ4MTYw", "file"), ("MTIz", "name"), (hex.dropLast().description, "name"),
        ("0a0a0a0a", "name"),
        ("report [1].pdf", "name"), ("a/b.wav", "name"), ("-rf", "name"), ("عقد.pdf", "name"),
    ])
    func parsing(text: String, kind: String) throws {
        let reference = try BlobReference(parsing: text)
        switch reference {
        case .url(let server, let digest): #expect(server == kind && digest.hex == Self.hex)
        case .digest(let digest): #expect(kind == "digest" && digest.hex == Self.hex)
        case .file(let id): #expect(kind == "file" && "\(id)" == text)
        case .name(let name): #expect(kind == "name" && name == text)
        }
    }

    @Test(arguments: ["", "sha256:abc", "ftp://h/api/blobs/" + hex, "https://h/" + hex, "https://h/api/blobs/abc"])
    func refused(text: String) {
        #expect(throws: UsageProblem.self) { try BlobReference(parsing: text) }
    }

    @Test(arguments: [
        ("0a0a0a0", nil), ("0A0a0a0a", "0a0a0a0a"), ("0a0a0a0g", nil), (hex, nil),
        (String(hex.dropLast()), String(hex.dropLast())),
    ])
    func digestStarts(name: String, start: String?) {
        #expect(BlobReference.digestStart(name) == start)
    }

    @Test(arguments: [
        ("report.pdf", "report.pdf"), ("عقد إيجار.pdf", "عقد إيجار.pdf"), ("../../etc/passwd", "passwd"),
        ("C:\\x\\y", "y"),
        ("a/\u{301}b", "\u{301}b"), (".bashrc", "_.bashrc"), ("/tmp/.x", "_.x"), ("-rf", "_-rf"), ("..", hex),
        (".", hex),
        ("a/", hex), ("", hex), ("a\nb\u{0}c", "a_b_c"), ("...", "_..."), (String(repeating: "x", count: 256), hex),
        (String(repeating: "x", count: 255), String(repeating: "x", count: 255)),
        ("." + String(repeating: "x", count: 254), "_" + String(repeating: "x", count: 254)), (nil, hex),
        ("\u{202E}gpj.exe", "_gpj.exe"), (".\u{9B}x\u{200B}", "_._x_"), ("می\u{200C}خواهم", "می\u{200C}خواهم"),
    ])
    func localNames(proposed: String?, name: String) throws {
        #expect(LocalName.text(proposed, of: try BlobDigest(parsing: Self.hex)) == name)
    }
}
