// The needs of all tests of this target: a client that waits for milliseconds only, bytes, folders, and events to wait
// for.

import BlobClient
import BlobCore
import Foundation
import Glibc
import NIOCore
import Synchronization
import Testing

/// A failure that kept a test from coming to its check.
struct Failure: Error {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension BlobServiceClient.Configuration {
    /// Pieces of 64 KiB, pauses of a millisecond, five tries.
    static var quick: BlobServiceClient.Configuration {
        var configuration = BlobServiceClient.Configuration()
        configuration.retries.triesWithoutProgress = 5
        configuration.retries.firstPause = .milliseconds(1)
        configuration.retries.longestPause = .milliseconds(2)
        configuration.appendByteCount = 64 << 10
        configuration.smallAppendByteCount = 64 << 10
        return configuration
    }
}

/// A server of the reference document with these faults, and a client of it; both gone afterwards.
func withStub(
    _ faults: [Operation: [Fault]] = [:], _ manners: Manners = Manners(),
    _ configuration: BlobServiceClient.Configuration = .quick, token: String? = ReferenceModel.token,
    _ body: (ReferenceServer, BlobServiceClient) async throws -> Void
) async throws {
    let stub = try await ReferenceServer.start(ReferenceModel(manners, faults))
    let client = try BlobServiceClient(stub.address, token: token, configuration: configuration)
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(stub, client))
    } catch {
        result = .failure(error)
    }
    await client.shutdown()
    try await stub.stop()
    try result.get()
}

enum Sample {
    /// Bytes that no other seed has. xorshift64*.
    static func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count {
                state ^= state >> 12
                state ^= state << 25
                state ^= state >> 27
                buffer[index] = UInt8(truncatingIfNeeded: (state &* 0x2545_f491_4f6c_dd1d) >> 56)
            }
            initialized = count
        }
    }
}

/// A folder of the test's own, gone when nobody holds it any more.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/blob-client-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("mkdtemp: \(String(cString: strerror(errno)))") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Writes a file and returns its path.
    @discardableResult
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    func read(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
    }

    /// Everything in it, hidden files too.
    var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }
}

/// Something that happens once and can be waited for.
final class Event: Sendable {
    private struct State {
        var hasHappened = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func happens() {
        let waiting = state.withLock { state in
            state.hasHappened = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.hasHappened { state.waiting.append(continuation) }
                return state.hasHappened
            }
            if isOver { continuation.resume() }
        }
    }
}

/// The events of a transfer, as they came.
final class EventLog: Sendable {
    private let events = Mutex<[TransferEvent]>([])

    var all: [TransferEvent] { events.withLock { $0 } }

    func note(_ event: TransferEvent) {
        events.withLock { $0.append(event) }
    }

    var retries: [(error: BlobClientError, pause: Duration)] {
        all.compactMap { if case .retrying(let error, let pause) = $0 { (error, pause) } else { nil } }
    }

    var timesStartedOver: [StartingOver] {
        all.compactMap { if case .startingOver(let reason) = $0 { reason } else { nil } }
    }

    /// Where the transfer began or went on, each time.
    var starts: [Int64] {
        all.compactMap { if case .began(let offset, _) = $0 { offset } else { nil } }
    }

    var start: Int64? { starts.first }
}

/// How bytes are handed to the library.
enum Way: CaseIterable, Sendable {
    case file, stream
}

extension BlobServiceClient {
    /// Uploads bytes as a file or as a stream of uneven pieces.
    func upload(
        _ bytes: [UInt8], as way: Way, options: UploadOptions = UploadOptions(name: "sample.bin"),
        log: EventLog = EventLog()
    ) async throws -> StoredFile {
        switch way {
        case .file:
            let folder = try Folder()
            let path = try folder.write(bytes, to: "file")
            return try await upload(file: path, options: options) { log.note($0) }
        case .stream:
            let position = Mutex(0)
            return try await upload(options: options, progress: { log.note($0) }) {
                position.withLock { position -> ByteBuffer? in
                    let end = min(bytes.count, position + 10_007)
                    guard position < end else { return nil }
                    defer { position = end }
                    return ByteBuffer(bytes: bytes[position..<end])
                }
            }
        }
    }
}

/// The bytes are published, once, under their digest.
func expect(
    _ bytes: [UInt8], arePublishedBy stub: ReferenceServer, as file: StoredFile, name: String? = "sample.bin",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let digest = BlobDigest(of: bytes).hex
    #expect(file.digest == digest, sourceLocation: sourceLocation)
    #expect(file.size == Int64(bytes.count), sourceLocation: sourceLocation)
    #expect(stub.model.blob(digest) == bytes, sourceLocation: sourceLocation)
    #expect(stub.model.files.map(\.digest) == [digest], sourceLocation: sourceLocation)
    #expect(stub.model.files.map(\.name) == [name], sourceLocation: sourceLocation)
}
