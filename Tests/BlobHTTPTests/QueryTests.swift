// The parameters after the question mark.

import Testing

@testable import BlobHTTP

@Suite struct QueryTests {
    @Test(
        arguments: [
            ("", nil),
            ("other=1", nil),
            ("name=", ""),
            ("name", ""),
            ("name=a", "a"),
            ("other=1&name=a&name=b", "a"),
            ("name=a+b", "a b"),
            ("name=a%2Bb", "a+b"),
            ("name=a%20b%26c%3Dd", "a b&c=d"),
            ("name=a=b", "a=b"),
            ("n%61me=a", "a"),
            ("name=%D8%AA%D9%82%D8%B1%D9%8A%D8%B1", "تقرير"),
        ] as [(String, String?)])
    func values(_ text: String, _ value: String?) throws {
        #expect(try Query(text[...]).value("name") == value)
    }

    @Test(arguments: ["name=%", "name=%4", "name=%zz", "name=%+1", "name=%-0", "name=%FF", "name=%C3%28"])
    func malformedValues(_ text: String) {
        #expect { try Query(text[...]).value("name") } throws: { ($0 as? WireError)?.kind == .validationFailed }
    }
}
