// Bytes as text that needs no escapes.

import BlobCore
import Testing

@Suite struct Base64URLTests {
    /// RFC 4648, §10, without padding, and bytes that need the two other characters.
    @Test(arguments: [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"), ("\u{3fb}\u{3ff}", "z7vPvw"), ("~~?", "fn4_"), ("~~>", "fn4-"),
    ])
    func bothWays(_ bytes: String, _ text: String) {
        #expect(Base64URL.text(bytes.utf8) == text && Base64URL.bytes(text) == Array(bytes.utf8))
    }

    @Test(arguments: ["Zg==", "Zg=", "Zh", "Z", "Zm9vY", "fn4/", "fn4+", "Zm 9v", "Zm9v\n", "\u{fc}", "Zm9v!"])
    func otherTextsForTheSameBytesAreNone(_ text: String) {
        #expect(Base64URL.bytes(text) == nil)
    }
}
