// The client library, and `blob`, against the real server through a network that breaks at every place of interest:
// every transfer ends with the right digest, once, and little is sent twice.
//
// CLIENT_RUNS is the number of runs of each; CLIENT_SEED is the first one's seed, or that of the run to be repeated.

import BlobClient
import BlobCore
import Foundation
import NIOCore
import Synchronization
import Testing

@Suite("The client on a faulty network", .inTurn, .timeLimit(.minutes(60)))
struct FaultyNetworkTests {
    private static let runCount = setting("CLIENT_RUNS") ?? 1000
    private static let firstSeed = setting("CLIENT_SEED") ?? 1
    /// Runs that are under way at the same time.
    private static let width = 12

    private static func setting(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    @Test("seeded runs of the library")
    func library() async throws { try await runs(Self.runCount, of: nil) }

    @Test("seeded runs of blob")
    func command() async throws { try await runs(Self.runCount, of: .shared()) }

    private func runs(_ count: Int, of tool: BlobTool?) async throws {
        let server = try await ServerProcess.shared
        let direct = try BlobServiceClient(server.address, token: try server.adminToken())
        let world = FaultyRun.World(server: server, direct: direct, tool: tool, folder: try TemporaryFolder())
        let runs = Runs(count: count)
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.width {
                group.addTask {
                    while let index = runs.next() { await Self.run(UInt64(Self.firstSeed + index), world, runs) }
                }
            }
        }
        await direct.shutdown()
        let sum = runs.sum
        print("\(count) runs in \(ContinuousClock.now - start): \(sum)")
        #expect(sum.cuts >= count / 2, "most runs have a fault")
    }

    private static func run(_ seed: UInt64, _ world: FaultyRun.World, _ runs: Runs) async {
        let run = FaultyRun(seed: seed, world: world)
        do {
            runs.add(try await run.run())
        } catch {
            Issue.record("CLIENT_SEED=\(seed) CLIENT_RUNS=1: \(run): \(error)")
        }
    }
}

/// The runs that are still to be made, and the counts of those that were made.
private final class Runs: Sendable {
    private let state = Mutex((next: 0, sum: FaultProxy.Counts()))
    private let count: Int

    init(count: Int) {
        self.count = count
    }

    var sum: FaultProxy.Counts { state.withLock { $0.sum } }

    func next() -> Int? {
        state.withLock { state in
            guard state.next < count else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    func add(_ counts: FaultProxy.Counts) {
        state.withLock { state in
            state.sum.requests += counts.requests
            state.sum.up += counts.up
            state.sum.down += counts.down
            state.sum.cuts += counts.cuts
            state.sum.abandoned += counts.abandoned
        }
    }
}

/// One upload or download, and its faults: all of it follows from the seed.
struct FaultyRun: CustomStringConvertible {
    struct World: Sendable {
        let server: ServerProcess
        /// Past the proxy.
        let direct: BlobServiceClient
        /// Does the work in place of the library.
        let tool: BlobTool?
        let folder: TemporaryFolder
    }

    enum Kind: Sendable {
        case file, stream, download, piecewiseDownload
    }

    private let world: World
    private let name: String
    private let kind: Kind
    private let count: Int
    private let pieceByteCount: Int
    private let faults: [Int: WireFault]
    private let bytes: [UInt8]

    init(seed: UInt64, world: World) {
        var generator = SeededGenerator(seed: seed)
        self.world = world
        name = "\(world.tool == nil ? "run" : "blob")-\(seed).bin"
        let kinds: [Kind] =
            world.tool == nil
            ? [.file, .file, .file, .stream, .stream, .download, .download, .piecewiseDownload]
            : [.file, .file, .download]
        kind = kinds.randomElement(using: &generator) ?? .file
        // The command sends files of these sizes in one piece, with the completion.
        let piece =
            world.tool == nil ? [16 << 10, 64 << 10, 256 << 10].randomElement(using: &generator) ?? 64 << 10 : 2 << 20
        pieceByteCount = piece
        count =
            switch Int.random(in: 0..<10, using: &generator) {
            case 0: [0, 1, 2].randomElement(using: &generator) ?? 0
            case 1: [piece - 1, piece, piece + 1, 2 * piece].randomElement(using: &generator) ?? piece
            case 2..<5: Int.random(in: 0...piece, using: &generator)
            default: Int.random(in: 0...(2 << 20), using: &generator)
            }
        // The first request, and those after it as far as there will be some.
        let isDownload = [.download, .piecewiseDownload].contains(kind)
        let requests = isDownload ? 1 : 2 + count / piece
        var faults: [Int: WireFault] = [:]
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            faults[Int.random(in: 0..<requests, using: &generator)] = .random(using: &generator)
        }
        if isDownload {
            // A download is cut again when it goes on.
            for number in 1..<Int.random(in: 2...4, using: &generator) { faults[number] = .random(using: &generator) }
        }
        // No test should wait as long as the command waits for a silent server.
        self.faults = world.tool == nil ? faults : faults.filter { $0.value.action != .silence }
        var words = (0..<(count + 7) / 8).map { _ in generator.next() }
        bytes = Array(words.withUnsafeMutableBytes { [count] in $0.prefix(count) })
    }

    var description: String {
        let list = faults.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        return "\(kind) of \(count) bytes in pieces of \(pieceByteCount), faults \(list)"
    }

    /// - Returns: the proxy's counts.
    func run() async throws -> FaultProxy.Counts {
        let port = world.server.port
        let proxy = try await FaultProxy.start(faults: faults) { port }
        var configuration = BlobServiceClient.Configuration()
        configuration.appendByteCount = Int64(pieceByteCount)
        configuration.smallAppendByteCount = Int64(pieceByteCount)
        configuration.retries.firstPause = .milliseconds(1)
        configuration.retries.longestPause = .milliseconds(20)
        configuration.silenceLimit = .seconds(2)
        let client = try BlobServiceClient(
            proxy.address, token: world.server.adminToken(), configuration: configuration)
        let result: Result<Void, any Error>
        do {
            switch kind {
            case .file, .stream: result = .success(try await upload(client, proxy))
            case .download, .piecewiseDownload: result = .success(try await download(client, proxy))
            }
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        try await proxy.stop()
        try result.get()
        let counts = proxy.counts
        let lost = Int64(counts.cuts + counts.abandoned) * lostPerCut
        guard counts.up + counts.down <= Int64(count) + lost else {
            throw Failure("\(counts) is more than \(count) and \(lost)")
        }
        return counts
    }

    /// The bytes that have to be sent again after a cut. Of an upload a piece. Of a download those in the buffers of
    /// sockets, and of the HTTP client when it was told of the end.
    private var lostPerCut: Int64 {
        switch kind {
        case .file, .stream: world.tool == nil ? Int64(pieceByteCount) : Int64(count)
        case .download, .piecewiseDownload: 1 << 20
        }
    }

    /// Runs the command through the proxy.
    ///
    /// - Returns: the first word of its first line.
    private func command(_ tool: BlobTool, _ words: [String], _ proxy: FaultProxy) async throws -> String {
        let outcome = try await tool.run(words + ["--server", proxy.address])
        guard outcome.end == .code(0), let word = outcome.firstWords.first else { throw Failure("\(outcome)") }
        return word
    }

    private func upload(_ client: BlobServiceClient, _ proxy: FaultProxy) async throws {
        let digest = BlobDigest(of: bytes)
        var file: StoredFile
        if kind == .file {
            let path = try world.folder.write(bytes, to: name)
            if let tool = world.tool {
                file = StoredFile(digest: try BlobDigest(parsing: await command(tool, ["upload", path], proxy)))
                (file.name, file.size) = (name, Int64(count))
            } else {
                file = try await client.upload(file: path)
            }
            try FileManager.default.removeItem(atPath: path)
        } else {
            let position = Mutex(0)
            file = try await client.upload(options: UploadOptions(name: name)) { [bytes] in
                position.withLock { position -> ByteBuffer? in
                    let end = min(bytes.count, position + 50_000)
                    guard position < end else { return nil }
                    defer { position = end }
                    return ByteBuffer(bytes: bytes[position..<end])
                }
            }
        }
        guard file.digest == digest.hex, file.size == Int64(count), file.name == name else { throw Failure("\(file)") }
        var query = FileQuery()
        query.search = name
        let page = try await world.direct.files(query)
        guard page.items.map(\.digest) == [digest.hex], page.items.map(\.size) == [Int64(count)] else {
            throw Failure("not published once: \(page)")
        }
    }

    private func download(_ client: BlobServiceClient, _ proxy: FaultProxy) async throws {
        let digest = BlobDigest(of: bytes)
        _ = try await world.direct.upload(options: UploadOptions(name: name), next: Self.once(bytes))
        if kind == .download {
            let target = world.folder.path + "/" + name
            if let tool = world.tool {
                _ = try await command(tool, ["download", digest.hex, "-o", target], proxy)
            } else {
                try await client.download(digest, to: target)
            }
            guard try world.folder.read(name) == bytes else { throw Failure("other bytes") }
            try FileManager.default.removeItem(atPath: target)
            let left = try FileManager.default.contentsOfDirectory(atPath: world.folder.path)
            guard !left.contains(where: { $0.contains(name) }) else { throw Failure("left: \(left)") }
        } else {
            let got = Mutex<[UInt8]>([])
            try await client.download(digest) { piece in got.withLock { $0 += piece.readableBytesView } }
            guard got.withLock({ $0 }) == bytes else { throw Failure("other bytes") }
        }
    }

    private static func once(_ bytes: [UInt8]) -> @Sendable () async throws -> ByteBuffer? {
        let isDone = Mutex(false)
        return {
            isDone.withLock { isDone in
                defer { isDone = true }
                return isDone ? nil : ByteBuffer(bytes: bytes)
            }
        }
    }
}
