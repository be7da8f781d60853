// Contract, uploads: the optional guards of append and complete, `Upload-Offset` and `Content-Range`.

import Foundation
import Testing

@Suite("Guards", .inTurn)
struct GuardTests {
    /// Append and complete obey the same guards.
    enum Action: CaseIterable, Sendable {
        case append, complete

        func request(_ upload: Upload, _ body: Request.Body, _ headers: Headers) -> Request {
            self == .append ? .append(to: upload, body, headers) : .complete(upload, body, headers)
        }

        var success: Int { self == .append ? 203 : 201 }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let value: String
        var refusal: Refusal?
        /// The values that the refusal must name: those that would have been right.
        var naming = ""

        var headers: Headers {
            var headers = Headers()
            headers.add(name, value)
            return headers
        }
        var testDescription: String { "\(name): \(value)" }
    }

    /// For an upload of 5 bytes and a body of 5 more.
    static let fitting = [
        Row(name: "Upload-Offset", value: "5"), Row(name: "Content-Range", value: "bytes 5-9/10"),
        Row(name: "Content-Range", value: "bytes 5-9/*"), Row(name: "Content-Range", value: "5-9"),
    ]

    static let refused =
        ["0", "4", "6", "10", "9223372036854775807"].map {
            Row(name: "Upload-Offset", value: $0, refusal: .offsetMismatch, naming: "offset is 5")
        }
        + [
            "bytes 0-4/10", "bytes 0-4/*", "0-4", "bytes 4-8/*", "bytes 6-10/11", "6-10",
            "bytes 9223372036854775803-9223372036854775807/*", "9223372036854775803-9223372036854775807",
        ].map { Row(name: "Content-Range", value: $0, refusal: .rangeInvalid, naming: "offset is 5") }
        + ["bytes 5-8/9", "bytes 5-10/*", "5-5", "5-9223372036854775807"].map {
            Row(name: "Content-Range", value: $0, refusal: .sizeInvalid, naming: "body has 5")
        }

    static let nonsense =
        ["", "abc", "-1", "5.0", "0x5", "5 5", "5,5", "٥", "9223372036854775808", "99999999999999999999999"].map {
            Row(name: "Upload-Offset", value: $0)
        }
        + [
            "", "bytes", "bytes 5", "bytes 5-", "bytes -5", "bytes */10", "bytes a-b/c", "bytes 9-5/10", "items 5-9/10",
            "bytes 5-9/x", "5-99999999999999999999", "99999999999999999999-99999999999999999999", "bytes=5-9",
            "-9223372036854775808-9223372036854775807",
        ].map { Row(name: "Content-Range", value: $0) }

    @Test(
        "the current offset, or a range that begins there and is as long as the body, passes",
        arguments: Action.allCases, fitting)
    func passes(_ action: Action, _ row: Row) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(10)
        let upload = try await client.upload(holding: Array(bytes[..<5]))
        let response = try await client.send(action.request(upload, .bytes(Array(bytes[5...])), row.headers))
        #expect(response.status == action.success)
        if action == .append { expect(response, tellsOffset: 10) }
        let completed = try await client.complete(upload)
        #expect(completed.digest == Sample.digest(of: bytes))
    }

    @Test(
        "409 when Upload-Offset is another, 416 when the range begins elsewhere, 400 when its length is not the body's",
        arguments: Action.allCases, refused)
    func isRefused(_ action: Action, _ row: Row) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(10)
        let upload = try await client.upload(holding: Array(bytes[..<5]))
        let response = try await client.send(action.request(upload, .bytes(Array(bytes[5...])), row.headers))
        expect(response, is: try #require(row.refusal), naming: row.naming)
        expect(response, tellsOffset: 5)
        #expect(try await client.offset(of: upload) == 5)
        #expect(try await !client.isPublished(bytes))
    }

    @Test(
        "a guard that is no number and no range: 400, or 416; nothing is appended", arguments: Action.allCases, nonsense
    )
    func isNonsense(_ action: Action, _ row: Row) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(10)
        let upload = try await client.upload(holding: Array(bytes[..<5]))
        let response = try await client.send(action.request(upload, .bytes(Array(bytes[5...])), row.headers))
        expect(response, isOneOf: [.validateFailed, .rangeInvalid, .sizeInvalid, .offsetMismatch])
        #expect(try await client.offset(of: upload) == 5)
        #expect(try await !client.isPublished(bytes))
    }

    @Test(
        "of a chunked body the length is known at its end", arguments: Action.allCases, ["bytes 5-9/*", "5-8", "5-10"])
    func chunked(_ action: Action, _ range: String) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(10)
        let upload = try await client.upload(holding: Array(bytes[..<5]))
        let body = Request.Body.chunked([Array(bytes[5..<7]), Array(bytes[7...])])
        let response = try await client.send(action.request(upload, body, ["Content-Range": range]))
        if range.contains("5-9") {
            #expect(response.status == action.success)
        } else {
            expect(response, is: .sizeInvalid, naming: "body has 5")
            expect(response, tellsOffset: try await client.offset(of: upload))
            #expect(try await !client.isPublished(bytes))
        }
    }

    @Test("a complete without a body obeys Upload-Offset too")
    func withoutBody() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(5)
        let upload = try await client.upload(holding: bytes)
        let refused = try await client.send(.complete(upload, .none, ["Upload-Offset": "4"]))
        expect(refused, is: .offsetMismatch)
        expect(refused, tellsOffset: 5)
        #expect(try await !client.isPublished(bytes))
        #expect(try await client.send(.complete(upload, .none, ["Upload-Offset": "5"])).status == 201)
    }

    @Test("without a guard, bytes go to the end")
    func unguarded() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(9)
        let upload = try await client.initiate()
        for start in [0, 3, 6] {
            let response = try await client.send(.append(to: upload, Array(bytes[start..<start + 3])))
            expect(response, tellsOffset: start + 3)
        }
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }
}
