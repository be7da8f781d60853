// Bytes in the text of URLs, both ways.

import BlobCore
import Testing

@Suite struct PercentEncodingTests {
    @Test(arguments: [
        ("aZ09-._~", "aZ09-._~", "aZ09-._~"), ("a/b", "a%2Fb", "a/b"), ("a b+c", "a%20b%2Bc", "a%20b%2Bc"),
        ("\u{fc}", "%C3%BC", "%C3%BC"), ("\u{1F600}", "%F0%9F%98%80", "%F0%9F%98%80"), ("\n%", "%0A%25", "%0A%25"),
        ("", "", ""), ("a//b/../c", "a%2F%2Fb%2F..%2Fc", "a//b/../c"),
    ])
    func encoding(_ text: String, component: String, path: String) {
        #expect(PercentEncoding.component(text) == component && PercentEncoding.path(text) == path)
        #expect(PercentEncoding.decoded(component[...]) == text && PercentEncoding.decoded(path[...]) == text)
    }

    @Test(
        arguments: [
            ("a+b", "a+b", "a b"), ("%2B", "+", "+"), ("%c3%BC", "\u{fc}", "\u{fc}"), ("%", nil, nil), ("%2", nil, nil),
            ("%zz", nil, nil), ("a%FF", nil, nil), ("%+1", nil, nil), ("\u{fc}", "\u{fc}", "\u{fc}"),
        ])
    func decoding(_ text: String, plain: String?, form: String?) {
        #expect(PercentEncoding.decoded(text[...]) == plain)
        #expect(PercentEncoding.decoded(text[...], isForm: true) == form)
    }

    @Test func keepingOthers() {
        #expect(PercentEncoding.encoded("a&b", keeping: { $0 == UInt8(ascii: "&") }) == "%61&%62")
    }
}
