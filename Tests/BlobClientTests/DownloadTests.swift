// Downloads into files and piece by piece, with everything that can go wrong on the way, and the files that they leave.

import BlobClient
import BlobCore
import Foundation
import NIOCore
import Synchronization
import Testing

@Suite("Downloads", .serialized, .timeLimit(.minutes(10)))
struct DownloadTests {
    static func part(_ digest: BlobDigest, _ name: String = "target") -> String {
        ".\(name).\(digest.hex.prefix(16)).part"
    }

    @Test("bytes of every length", arguments: [0, 1, 1000, 524_288, 1_500_000])
    func lengths(_ count: Int) async throws {
        try await withStub { stub, client in
            let (bytes, folder, log) = (Sample.bytes(count), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes)
            #expect(folder.names == ["target"])
            #expect(stub.model.seen == [.download])
            #expect(log.all.first == .began(at: 0, size: Int64(count)))
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var fault: Fault
        var hasRanges: Bool
        var isFile: Bool

        var testDescription: String { "\(fault), \(hasRanges ? "ranges" : "no ranges"), \(isFile ? "file" : "pieces")" }
    }

    private static let faults: [Fault] = [
        .closeBeforeActing, .cut(after: 0), .cut(after: 1), .cut(after: 700_000), .cut(after: 1_499_999), .answer(408),
        .answer(429), .answer(500), .answer(503), .answerAtHead(503), .answer(503, retryAfter: "0"),
    ]

    static let cases = faults.flatMap { fault in
        [true, false].flatMap { ranges in
            [true, false].map { Case(fault: fault, hasRanges: ranges, isFile: $0) }
        }
    }

    @Test("go on after faults, at most four in a row without a byte", arguments: cases)
    func goesOn(_ test: Case) async throws {
        let manners = Manners(extras: test.hasRanges ? [.ranges] : [])
        try await withStub([.download: Array(repeating: test.fault, count: 4)], manners) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(1_500_000), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            if test.isFile {
                try await client.download(digest, to: folder.path + "/target") { log.note($0) }
                #expect(try folder.read("target") == bytes)
                #expect(folder.names == ["target"])
            } else {
                let got = Mutex<[UInt8]>([])
                try await client.download(
                    digest, progress: { log.note($0) },
                    write: { piece in
                        got.withLock { $0 += piece.readableBytesView }
                    })
                #expect(got.withLock { $0 } == bytes)
            }
            #expect(!log.retries.isEmpty)
        }
    }

    @Test("what came before a connection went silent is kept to the byte", arguments: [1, 524_288, 700_000])
    func silence(_ count: Int) async throws {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.silenceLimit = .seconds(1)
        let manners = Manners(extras: [.ranges])
        try await withStub([.download: [.stall(after: count)]], manners, configuration) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(1_500_000), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes)
            // A machine that is busy for longer than the limit makes the rest of it seem silent, too.
            #expect(log.starts.prefix(2) == [0, Int64(count)])
        }
    }

    @Test("five tries and no more", arguments: [Fault.closeBeforeActing, .cut(after: 0), .answer(503)])
    func bounded(_ fault: Fault) async throws {
        try await withStub([.download: Array(repeating: fault, count: 100)]) { stub, client in
            let folder = try Folder()
            let digest = stub.model.publish(Sample.bytes(1000))
            await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            #expect(stub.model.seen.count == 5)
            #expect(folder.names.isEmpty)
        }
    }

    @Test("a server without ranges that always breaks at the same place comes to an end")
    func sameCut() async throws {
        try await withStub([.download: Array(repeating: .cut(after: 700_000), count: 100)]) { stub, client in
            let folder = try Folder()
            let digest = stub.model.publish(Sample.bytes(1_500_000))
            await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            // The HTTP client may drop some of the bytes that came before the end, and get further the next time.
            #expect((5...50).contains(stub.model.seen.count))
            #expect(folder.names == [Self.part(digest)], "what came is kept for a later run")
        }
    }

    @Test("what will not pass is an error at once", arguments: [400, 401, 403, 404, 410, 501])
    func permanent(_ status: Int) async throws {
        try await withStub([.download: [.answer(status)]], Manners(errors: .json)) { stub, client in
            let folder = try Folder()
            let digest = stub.model.publish([1])
            let error = await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            #expect(error == .refused(ServerRefusal(status: status, code: "SOME_CODE", message: "No.")))
            #expect(stub.model.seen.count == 1 && folder.names.isEmpty)
        }
    }

    @Test("wrong bytes are an error and leave nothing", arguments: [true, false])
    func wrongBytes(_ hidesLength: Bool) async throws {
        try await withStub([:], Manners(damagesDownloads: true, hidesLength: hidesLength)) { stub, client in
            let folder = try Folder()
            let bytes = Sample.bytes(1000)
            let digest = stub.model.publish(bytes)
            var damaged = bytes
            damaged[500] ^= 1
            let error = await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            #expect(error == .wrongDigest(expected: digest, found: BlobDigest(of: damaged)))
            #expect(folder.names.isEmpty)
            await #expect(throws: BlobClientError.self) { try await client.download(digest) { _ in } }
        }
    }

    @Test("a web page is no blob")
    func webPage() async throws {
        try await withStub([.download: [.strange(200, "<h1>Welcome</h1>")]]) { stub, client in
            let folder = try Folder()
            let digest = stub.model.publish(Sample.bytes(1000))
            let error = await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            guard case .wrongDigest = error else { throw Failure("\(String(describing: error))") }
            #expect(folder.names.isEmpty)
        }
    }

    @Test("what had the target's name stays until the right bytes are there")
    func earlierTarget() async throws {
        try await withStub([.download: [.answer(404)]]) { stub, client in
            let folder = try Folder()
            let path = try folder.write([9, 9, 9], to: "target")
            let bytes = Sample.bytes(1000)
            let digest = stub.model.publish(bytes)
            await #expect(throws: BlobClientError.self) { try await client.download(digest, to: path) }
            #expect(try folder.read("target") == [9, 9, 9] && folder.names == ["target"])
            try await client.download(digest, to: path)
            #expect(try folder.read("target") == bytes && folder.names == ["target"])
        }
    }

    // MARK: Files of an earlier run

    @Test("goes on with what an earlier run has left", arguments: [true, false], [1, 999, 1000, 1_000_000])
    func resumed(_ hasRanges: Bool, _ count: Int) async throws {
        try await withStub([:], Manners(extras: hasRanges ? [.ranges] : [])) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(1_000_000), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            try folder.write(Array(bytes[..<count]), to: Self.part(digest))
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes && folder.names == ["target"])
            #expect(log.start == Int64(count) && stub.model.seen == [.download])
        }
    }

    @Test("what an earlier run has left and is wrong is dropped", arguments: [true, false], [1, 1000, 2_000_000])
    func damaged(_ hasRanges: Bool, _ count: Int) async throws {
        try await withStub([:], Manners(extras: hasRanges ? [.ranges] : [])) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(1_000_000), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            try folder.write(Sample.bytes(count, seed: 99), to: Self.part(digest))
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes && folder.names == ["target"])
            #expect(log.timesStartedOver == [.wrongDigest])
        }
    }

    @Test("a cancelled download keeps what came, and the next one goes on with it")
    func cancelled() async throws {
        try await withStub([.download: [.stall(after: 700_000)]], Manners(extras: [.ranges])) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(1_000_000), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            let moved = Event()
            let task = Task {
                try await client.download(digest, to: folder.path + "/target") {
                    if case .moved = $0 { moved.happens() }
                }
            }
            await moved.wait()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(folder.names == [Self.part(digest)])
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes)
            #expect((524_288...700_000).contains(log.start ?? 0))
        }
    }

    @Test("many at once of one blob to one name")
    func atOnce() async throws {
        try await withStub([.download: [.cut(after: 200_000), .cut(after: 700_000)]]) { stub, client in
            let (bytes, folder) = (Sample.bytes(1_000_000), try Folder())
            let digest = stub.model.publish(bytes)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask { try await client.download(digest, to: folder.path + "/target") }
                }
                try await group.waitForAll()
            }
            #expect(try folder.read("target") == bytes && folder.names == ["target"])
        }
    }

    // MARK: Where it goes

    @Test("a folder that is not there is an error that names the file, before anything is asked")
    func noFolder() async throws {
        try await withStub { stub, client in
            let path = try Folder().path + "/nowhere/target"
            let digest = stub.model.publish([1])
            let error = await #expect(throws: BlobClientError.self) { try await client.download(digest, to: path) }
            #expect(error == .file(path: path, problem: "cannot be written to: No such file or directory"))
            #expect(stub.model.seen.isEmpty)
        }
    }

    @Test("a folder in the file's place is an error")
    func folderInPlace() async throws {
        try await withStub { stub, client in
            let folder = try Folder()
            try FileManager.default.createDirectory(
                atPath: folder.path + "/target/inside", withIntermediateDirectories: true)
            let digest = stub.model.publish([1])
            let error = await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            guard case .file = error else { throw Failure("\(String(describing: error))") }
        }
    }

    @Test("an error of who takes the pieces ends the download")
    func taker() async throws {
        try await withStub { stub, client in
            let digest = stub.model.publish(Sample.bytes(1000))
            await #expect(throws: Failure.self) {
                try await client.download(digest) { _ in throw Failure("no room") }
            }
            #expect(stub.model.seen.count == 1)
        }
    }

    @Test("what a download would bring")
    func look() async throws {
        try await withStub { stub, client in
            let digest = stub.model.publish(Sample.bytes(5_000_000))
            let blob = try #require(try await client.blob(digest))
            #expect(blob.digest == digest && blob.size == 5_000_000 && blob.name == "example")
            #expect(try await client.blob(BlobDigest(of: [])) == nil)
        }
    }
}
