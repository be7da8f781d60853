// The secrets that allow writing to an upload. The comparison in constant time is swift-crypto's promise, which no test
// here could tell from luck.

import BlobCore
import BlobStorage
import Testing

@Suite struct UploadTokensTests {
    private let tokens = UploadTokens(secret: Array(0..<32))
    private let id = UploadID(parsing: "0f8fad5b-d9cb-469f-a165-70867728950e") ?? UploadID()

    /// HMAC-SHA-256 with the bytes 0 to 31 as its key, over "blobd upload " and the identity's 16 bytes, as another
    /// implementation has it (Python's hmac).
    @Test func knownAnswer() {
        #expect(tokens.token(of: id) == "y7zYd-pb-_eSg2GTDYq5qdHYS5Wcm-xVZcH-TeBfS8o")
        #expect(tokens.isToken("y7zYd-pb-_eSg2GTDYq5qdHYS5Wcm-xVZcH-TeBfS8o", of: id))
    }

    @Test func anotherKeyGivesAnotherToken() {
        let others = UploadTokens(secret: Array(1..<33))
        #expect(!tokens.isToken(others.token(of: id), of: id))
        #expect(!tokens.isToken(tokens.token(of: UploadID()), of: id))
    }

    /// The last character has two bits that decode to nothing.
    @Test func onlyOneTextIsTheToken() {
        let token = tokens.token(of: id)
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
            let other = token.dropLast() + String(last)
            #expect(tokens.isToken(String(other), of: id) == (other == token))
        }
        for other in [
            "", token + "=", token + "A", String(token.dropLast()), token.lowercased(), token + " ",
            token.replacing("-", with: "+").replacing("_", with: "/"),
        ] where other != token {
            #expect(!tokens.isToken(other, of: id), "\(other)")
        }
    }
}
