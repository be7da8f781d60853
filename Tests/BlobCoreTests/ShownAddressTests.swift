// Addresses as they may be shown.

import BlobCore
import Testing

struct ShownAddressTests {
    @Test(arguments: [
        ("https://files.example.com:8887/a", "https://files.example.com:8887/a"), ("", ""), ("name", "name"),
        ("http://u:secret@h/a", "http://…@h/a"), ("http://u:s/e?c@ret@h/a", "http://…"), ("u:secret@h:1", "…@h:1"),
        ("http://h/a?X-Amz-Signature=secret", "http://h/a?…"), ("http://u:secret@h/a?b=secret", "http://…@h/a?…"),
        ("http://h/a?b=c@secret", "http://…"), ("http://a://secret@h", "http://…@h"),
    ])
    func withoutCredentials(address: String, shown: String) {
        #expect(address.withoutCredentials == shown)
    }
}
