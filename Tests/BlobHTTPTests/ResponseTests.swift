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

    @Test(arguments: BlobError.Code.allCases)
    func everyErrorIsAnErrorStatusWithItsCode(_ code: BlobError.Code) {
        let response = Response(BlobError(code, "What was wrong."))
        #expect((400..<600).contains(response.status.code))
        #expect(text(response) == #"{"errors":[{"code":"\#(code.name)","message":"What was wrong."}]}"#)
        #expect(response.fields[.contentType] == "application/json")
    }

    @Test func theTrueOffsetIsTold() {
        let response = Response(BlobError(.offsetMismatch, "No.", detail: .offset(5)))
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
        let response = Response(BlobError(.validationFailed, "a \"quote\"\nand a line"))
        #expect(text(response).contains(#"a \"quote\"\nand a line"#))
    }

    @Test func noContentBearsNoLength() {
        #expect(Response(.noContent).fields[.contentLength] == nil)
        #expect(Response(.notModified).fields[.contentLength] == nil)
        #expect(Response(.accepted).fields[.contentLength] == "0")
    }
}
