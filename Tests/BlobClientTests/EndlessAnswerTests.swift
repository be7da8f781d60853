// Answers that are longer than they may be: the client stops, and keeps nothing of them.

import BlobClient
import BlobCore
import Foundation
import Testing

@Suite("Endless answers", .serialized, .timeLimit(.minutes(5)))
struct EndlessAnswerTests {
    private static let bytes = Sample.bytes(1_000_000)

    /// A client that takes 3,000,000 bytes of a blob without a size.
    private func with(
        _ fault: Fault, on operation: Operation = .download, times: Int = 1, _ manners: Manners = Manners(),
        _ body: (ReferenceServer, BlobServiceClient) async throws -> Void
    ) async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.unannouncedByteLimit = 3_000_000
        let faults = [operation: Array(repeating: fault, count: times)]
        try await withStub(faults, manners, configuration, body)
    }

    @Test("of a blob without a size so much is taken as the app says, and nothing is left of it")
    func withoutSize() async throws {
        try await with(.endless(200)) { stub, client in
            let (folder, digest) = (try Folder(), stub.model.publish(Self.bytes))
            let error = await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            #expect(error == .endless(limit: 3_000_000))
            #expect(folder.names.isEmpty && stub.model.seen == [.download])
        }
    }

    @Test("what an earlier run has brought of a blob with a size is kept")
    func earlierBytes() async throws {
        try await with(.endless(200)) { stub, client in
            let (folder, digest) = (try Folder(), stub.model.publish(Self.bytes))
            try folder.write(Array(Self.bytes[..<1000]), to: DownloadTests.part(digest))
            await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            #expect(folder.names == [DownloadTests.part(digest)])
        }
    }

    @Test("a body is read to the end that its Content-Range announces", arguments: [0, 400_000])
    func announced(_ start: Int) async throws {
        let range = ["Content-Range": "bytes \(start)-999999/1000000"]
        try await with(.endless(206, headers: range), Manners(extras: [.ranges])) { stub, client in
            let (folder, digest) = (try Folder(), stub.model.publish(Self.bytes))
            if start > 0 { try folder.write(Array(Self.bytes[..<start]), to: DownloadTests.part(digest)) }
            try await client.download(digest, to: folder.path + "/target")
            #expect(try folder.read("target") == Self.bytes && folder.names == ["target"])
        }
    }

    @Test("a range of unknown whole is read to its own end")
    func rangeWithoutSize() async throws {
        let range = ["Content-Range": "bytes 400000-999999/*"]
        try await with(.endless(206, headers: range), Manners(extras: [.ranges])) { stub, client in
            let (folder, digest) = (try Folder(), stub.model.publish(Self.bytes))
            try folder.write(Array(Self.bytes[..<400_000]), to: DownloadTests.part(digest))
            try await client.download(digest, to: folder.path + "/target")
            #expect(try folder.read("target") == Self.bytes)
        }
    }

    @Test("more than the disk has room for is refused before the first byte")
    func tooLarge() async throws {
        try await with(.endless(200, headers: ["Content-Length": "\(Int64.max)"])) { stub, client in
            let (folder, digest) = (try Folder(), stub.model.publish(Self.bytes))
            let error = await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            guard case .file(_, let problem) = error else { throw Failure("\(String(describing: error))") }
            #expect(problem.hasPrefix("needs \(Int64.max) more bytes, and its disk has"))
            #expect(folder.names.isEmpty)
        }
    }

    @Test("a blob that grows from one try to the next is refused")
    func growing() async throws {
        let first = Fault.endless(206, headers: ["Content-Range": "bytes 0-499999/1000000"])
        let second = Fault.endless(206, headers: ["Content-Range": "bytes 500000-999999/2000000"])
        try await withStub([.download: [first, second]], Manners(extras: [.ranges])) { stub, client in
            let (folder, digest) = (try Folder(), stub.model.publish(Self.bytes))
            let error = await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            #expect(error == .unexpectedAnswer("it announces 2000000 bytes, and announced 1000000 before"))
        }
    }

    @Test("a part of a blob is no longer than what was asked for")
    func part() async throws {
        let range = ["Content-Range": "bytes 0-999999/1000000"]
        try await with(.endless(206, headers: range), Manners(extras: [.ranges])) { stub, client in
            let digest = stub.model.publish(Self.bytes)
            let log = EventLog()
            try await client.download(digest, range: 0..<1000, progress: { log.note($0) }) { _ in }
            #expect(log.all.last == .moved(to: 1000))
        }
    }

    @Test("no other answer is longer than those of this API, whatever its status", arguments: [200, 400, 500])
    func others(_ status: Int) async throws {
        try await with(.endless(status), on: .list) { stub, client in
            let error = await #expect(throws: BlobClientError.self) { try await client.files() }
            #expect(error == .unexpectedAnswer("it is longer than any of this API"))
            #expect(stub.model.seen == [.list])
        }
        try await with(.endless(status == 200 ? 404 : status)) { stub, client in
            let digest = stub.model.publish([1])
            let error = await #expect(throws: BlobClientError.self) { try await client.download(digest) { _ in } }
            guard case .unexpectedAnswer = error else { throw Failure("\(String(describing: error))") }
        }
    }

    @Test("a redirection is followed whatever comes behind its head")
    func redirection() async throws {
        try await withStub { bucket, _ in
            let digest = bucket.model.publish(Self.bytes)
            let location = ["Location": "\(bucket.address)/api/blobs/\(digest)"]
            try await with(.endless(307, headers: location)) { server, client in
                let folder = try Folder()
                try await client.download(digest, to: folder.path + "/target")
                #expect(try folder.read("target") == Self.bytes)
            }
        }
    }

    @Test("half of a surrogate pair is no JSON")
    func surrogates() async throws {
        try await with(.strange(200, #"{"count":1,"items":[{"name":"\ud800"}]}"#), on: .list) { _, client in
            let error = await #expect(throws: BlobClientError.self) { try await client.files() }
            #expect(error == .unexpectedAnswer("its body is not the JSON of this API"))
        }
    }
}
