// One download in several requests at a time, and parts of blobs.

import BlobCore
import NIOCore
import Synchronization
import Testing

@testable import BlobClient

@Suite("Several requests for one download", .serialized, .timeLimit(.minutes(10)))
struct DownloadStreamTests {
    private static var several: BlobServiceClient.Configuration {
        var configuration = BlobServiceClient.Configuration.quick
        configuration.downloadStreams = 4
        return configuration
    }

    private static let segment = Int(DownloadRun.segmentByteCount)

    @Test(
        "bytes of every length, in as many requests as there are pieces",
        arguments: [0, 1, segment - 1, segment, segment + 1, 2 * segment, 5 * segment + 17], [true, false])
    func lengths(_ count: Int, hasRanges: Bool) async throws {
        try await withStub([:], Manners(extras: hasRanges ? [.ranges] : []), Self.several) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(count), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes && folder.names == ["target"])
            let pieces = hasRanges ? max(1, (count + Self.segment - 1) / Self.segment) : 1
            #expect(stub.model.seen.count == pieces)
            #expect(log.all.first == .began(at: 0, size: Int64(count)))
        }
    }

    @Test(
        "what came in order is kept, whatever breaks",
        arguments: [Fault.cut(after: 0), .cut(after: 5_000_000), .closeBeforeActing, .answer(503)], [0, 2, 5])
    func faults(_ fault: Fault, at number: Int) async throws {
        let faults = Array(repeating: Fault.nothing, count: number) + [fault]
        try await withStub([.download: faults], Manners(extras: [.ranges]), Self.several) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(4 * Self.segment + 1), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes && folder.names == ["target"])
            let offsets = log.all.compactMap { if case .moved(let offset) = $0 { offset } else { nil } }
            #expect(offsets == offsets.sorted(), "nothing that was here is asked for again")
        }
    }

    @Test("a later run goes on, and a cancelled one ends soon and leaves the beginning")
    func goesOn() async throws {
        let faults: [Fault] = [.nothing, .nothing, .answer(403)]
        try await withStub([.download: faults], Manners(extras: [.ranges]), Self.several) { stub, client in
            let (bytes, folder, log) = (Sample.bytes(4 * Self.segment), try Folder(), EventLog())
            let digest = stub.model.publish(bytes)
            await #expect(throws: BlobClientError.self) {
                try await client.download(digest, to: folder.path + "/target")
            }
            try await client.download(digest, to: folder.path + "/target") { log.note($0) }
            #expect(try folder.read("target") == bytes && folder.names == ["target"])
            guard case .began(let offset, _) = log.all.first else { throw Failure("\(log.all)") }
            #expect(offset >= Self.segment && Int(offset) % Self.segment == 0)
        }
    }

    @Test(
        "a part of a blob, with and without ranges, in one request or several",
        arguments: [0..<1, 0..<1000, 999_999..<1_000_000, 500_000..<700_000], [true, false])
    func part(_ range: Range<Int64>, hasRanges: Bool) async throws {
        for configuration in [BlobServiceClient.Configuration.quick, Self.several] {
            let manners = Manners(extras: hasRanges ? [.ranges] : [])
            try await withStub([.download: [.cut(after: 100)]], manners, configuration) { stub, client in
                let bytes = Sample.bytes(1_000_000)
                let digest = stub.model.publish(bytes)
                let got = Mutex<[UInt8]>([])
                try await client.download(digest, range: range) { part in got.withLock { $0 += part.readableBytesView }
                }
                #expect(got.withLock { $0 } == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
            }
        }
    }
}
