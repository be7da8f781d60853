// The advice to people at the command line.

import BlobClient
import Testing

@testable import blob

struct AdviceTests {
    private static func refusal(_ status: Int, _ code: String = "") -> BlobClientError {
        .refused(ServerRefusal(status: status, code: code, message: "", requestID: "r1"))
    }

    @Test(arguments: [
        (refusal(307), "https://"), (refusal(401), "BLOB_TOKEN"), (refusal(403, "DENIED"), "blob delete"),
        (refusal(403), "scope"), (refusal(404), "address is that of a blob server"),
        (refusal(429, "TOOMANYREQUESTS"), "blob cancel"), (refusal(413), "larger"), (refusal(502), "r1"),
        (.connection("no connection"), "run the same command again"), (.untrusted("it is for another host"), "--ca"),
        (.unexpectedAnswer("no JSON"), "address is that of a blob server"), (.fileChanged(path: "f"), "again"),
        (.streamLost, "anew"), (.endless(limit: 1), "--largest"),
    ])
    func advice(_ error: BlobClientError, words: String) {
        #expect(ErrorText(error).advice?.contains(words) == true)
    }

    @Test(
        "none where there is nothing but to wait, or where the error says it all",
        arguments: [
            refusal(429, "BUSY"), refusal(404, "FILE_UNKNOWN"), .invalidAddress("x"), .file(path: "f", problem: "p"),
        ])
    func none(_ error: BlobClientError) {
        #expect(ErrorText(error).advice == nil)
    }
}
