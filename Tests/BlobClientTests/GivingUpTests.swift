// The end of an upload that is refused for good, and whether the error concerns all files.

import BlobClient
import BlobCore
import Foundation
import Testing

@Suite("What is refused for good", .serialized, .timeLimit(.minutes(10)))
struct GivingUpTests {
    /// A refusal of bytes, and its meaning.
    struct Refusal: Sendable {
        var status: Int
        var code: String
        /// Whether a later run could go on with the upload.
        var mayGoOn: Bool
        var concernsEveryFile: Bool
    }

    static let refusals = [
        Refusal(status: 413, code: "SIZE_INVALID", mayGoOn: false, concernsEveryFile: false),
        Refusal(status: 403, code: "DENIED", mayGoOn: false, concernsEveryFile: true),
        Refusal(status: 400, code: "VALIDATE_FAILED", mayGoOn: false, concernsEveryFile: false),
        Refusal(status: 403, code: "FORBIDDEN", mayGoOn: true, concernsEveryFile: true),
        Refusal(status: 401, code: "UNAUTHORIZED", mayGoOn: true, concernsEveryFile: true),
        Refusal(status: 507, code: "INSUFFICIENT_STORAGE", mayGoOn: true, concernsEveryFile: true),
        Refusal(status: 503, code: "UNAVAILABLE", mayGoOn: true, concernsEveryFile: true),
    ]

    @Test("stays open only where a later run goes on with it", arguments: refusals, [true, false])
    func upload(_ refusal: Refusal, _ hasJournal: Bool) async throws {
        let faults = [Fault.nothing] + Array(repeating: .named(refusal.status, refusal.code), count: 9)
        try await withStub([.append: faults], Manners(errors: .json), Dropped.configuration) { stub, client in
            let dropped = try Dropped(6 << 20)
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(file: dropped.file, journal: hasJournal ? dropped.journal : nil)
            }
            guard case .refused(let answer) = error else { throw Failure("\(String(describing: error))") }
            #expect(answer.status == refusal.status && answer.code == refusal.code)
            #expect(error?.concernsEveryFile == refusal.concernsEveryFile)
            let stays = hasJournal && refusal.mayGoOn
            #expect(stub.model.openUploads == (stays ? 1 : 0))
            #expect(dropped.journal.entries().count == (stays ? 1 : 0))
        }
    }

    @Test("a file that changes meanwhile leaves nothing open")
    func changed() async throws {
        try await withStub([:], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(6 << 20)
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(file: dropped.file, journal: dropped.journal) { event in
                    if case .moved(to: 1 << 20) = event { try? dropped.overwrite(at: 0, count: 1) }
                }
            }
            #expect(error == .fileChanged(path: dropped.file) && error?.concernsEveryFile == false)
            #expect(stub.model.openUploads == 0 && dropped.records.isEmpty)
        }
    }

    @Test("a stream that ends in an error leaves nothing open")
    func stream() async throws {
        try await withStub { stub, client in
            await #expect(throws: Failure.self) {
                try await client.upload { throw Failure("no more") }
            }
            #expect(stub.model.seen == [.initiate, .destroy] && stub.model.openUploads == 0)
        }
    }

    @Test(
        "too many open uploads concern all files, as a server that is busy does",
        arguments: ["TOOMANYREQUESTS", "BUSY"])
    func tooMany(_ code: String) async throws {
        let faults = Array(repeating: Fault.named(429, code), count: 9)
        try await withStub([.initiate: faults], Manners(errors: .json)) { stub, client in
            let error = await #expect(throws: BlobClientError.self) { try await client.upload([1], as: .stream) }
            #expect(error?.concernsEveryFile == true)
            #expect(stub.model.seen.count == 5)
        }
    }

    @Test("a server that is not there concerns all files")
    func gone() async throws {
        let client = try BlobServiceClient("http://127.0.0.1:1", configuration: .quick)
        let error = await #expect(throws: BlobClientError.self) { try await client.upload([1], as: .stream) }
        #expect(error?.concernsEveryFile == true)
        await client.shutdown()
    }
}
