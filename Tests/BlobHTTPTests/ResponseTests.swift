// Errors as answers.

import BlobCore
import HTTPServerCore
import HTTPTypes
import NIOCore
import Testing

@testable import BlobHTTP

@Suite struct ResponseTests {
    private func text(_ response: Response) -> String {
        if case .buffer(let buffer) = response.body { String(buffer: buffer) } else { "" }
    }

    @Test(arguments: ErrorKind.allCases)
    func everyErrorIsAnErrorStatusWithItsCode(_ kind: ErrorKind) {
        let response = Response(WireError(kind, "What was wrong."))
        #expect((400..<600).contains(response.status.code))
        #expect(text(response) == #"{"errors":[{"code":"\#(kind.row.code.rawValue)","message":"What was wrong."}]}"#)
        #expect(response.fields[.contentType] == "application/json")
        #expect(response.fields[.wwwAuthenticate] == (kind == .unauthorized ? "Bearer" : nil))
        let waits: [ErrorKind: String] = [.unavailable: "10", .tooManyUploads: "10", .tooManyRequests: "1"]
        #expect(response.fields[.retryAfter] == waits[kind])
    }

    @Test func whenToComeBackIsToldAsExactlyAsItIsKnown() {
        #expect(Response(WireError(.stopping)).fields[.retryAfter] == "5")
        #expect(Response(WireError(BlobError(.unavailable(.catalogDamaged)))).fields[.retryAfter] == "10")
    }

    @Test func theTrueOffsetIsTold() {
        let response = Response(WireError(.offsetMismatch, "No.", detail: .offset(5)))
        #expect(response.status == .conflict)
        #expect(response.fields[.range] == "0-4")
        #expect(response.fields[.uploadOffset] == "5")
        #expect(text(response).contains(#""detail":{"offset":5}"#))
    }

    @Test(arguments: [(0, "0-0"), (1, "0-0"), (2, "0-1")] as [(Int64, String)])
    func ranges(_ offset: Int64, _ range: String) {
        #expect(uploadRange(offset) == range)
    }

    @Test func aMessageCannotBreakTheBody() {
        let response = Response(WireError(.validationFailed, "a \"quote\"\nand a line"))
        #expect(text(response).contains(#"a \"quote\"\nand a line"#))
    }

    @Test func noContentBearsNoLength() {
        #expect(Response(.noContent).fields[.contentLength] == nil)
        #expect(Response(.notModified).fields[.contentLength] == nil)
        #expect(Response(.accepted).fields[.contentLength] == "0")
    }
}
