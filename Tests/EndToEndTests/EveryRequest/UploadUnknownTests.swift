// Contract, common rules: an upload belongs to the subject that started it, and an unknown one is always the same 404.

import Foundation
import Testing

extension Response {
    /// The parts of an answer that may tell it from another, without those that differ between any two.
    fileprivate var comparable: String {
        let own = ["x-request-id", "date", "content-length"]
        let fields = headers.fields.map { "\($0.name.lowercased()): \($0.value)" }
        let shared = fields.filter { field in !own.contains { field.hasPrefix($0 + ":") } }.sorted()
        return "\(status)\n\(shared.joined(separator: "\n"))\n\(text)"
    }
}

@Suite("Unknown uploads", .inTurn)
struct UploadUnknownTests {
    /// Every operation on an upload, with a token that is not the reason for a refusal.
    static func operations(on upload: Upload) -> [Request] {
        [.append(to: upload, [1, 2, 3]), .status(of: upload), .complete(upload), .destroy(upload)]
    }

    @Test(
        "a malformed id: 404 BLOB_UPLOAD_UNKNOWN",
        arguments: [
            "nonsense", "0", "-1", "null", "00000000-0000-4000-8000-00000000000",
            "00000000-0000-4000-8000-0000000000000",
            "{00000000-0000-4000-8000-000000000000}", "000000000000400080000000000000000",
            "zzzzzzzz-0000-4000-8000-000000000000",
            "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "%FF%FE", "%", "a%0d%0ab", "'%20OR%201=1--",
            String(repeating: "a", count: 2000),
        ])
    func malformed(_ id: String) async throws {
        for request in Self.operations(on: Upload(id: id, token: "token")) {
            expect(try await Client.shared.send(request), is: .uploadUnknown)
        }
    }

    @Test("unknown, another's, destroyed or malformed: always the same answer, so that nothing leaks")
    func allTheSame() async throws {
        let owner = try await Client.newSubject()
        let other = try await Client.newSubject()
        let foreign = try await owner.upload(holding: Sample.bytes(5))
        let destroyed = try await other.initiate()
        #expect(try await other.send(.destroy(destroyed)).status == 204)
        let unknown = Upload(id: UUID().uuidString.lowercased(), token: foreign.token)
        let malformed = Upload(id: "nonsense", token: foreign.token)

        var answers: [[String]] = []
        for upload in [foreign, destroyed, unknown, malformed] {
            var texts: [String] = []
            for request in Self.operations(on: upload) {
                let response = try await other.send(request)
                expect(response, is: .uploadUnknown)
                texts.append(response.comparable.replacing(upload.id, with: "ID"))
            }
            answers.append(texts)
        }
        #expect(Set(answers).count == 1, "\(answers)")
        #expect(try await owner.offset(of: foreign) == 5)
    }

    @Test("another's upload is unknown to the admin too")
    func admin() async throws {
        let owner = try await Client.newSubject()
        let foreign = try await owner.upload(holding: Sample.bytes(5))
        for request in Self.operations(on: foreign) {
            expect(try await Client.shared.send(request), is: .uploadUnknown)
        }
        #expect(try await owner.offset(of: foreign) == 5)
    }
}
