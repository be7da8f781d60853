// The server, or the client, is killed again and again while 1 GiB is uploaded: the file arrives, and no more is sent
// twice than one of them may lose.

import BlobClient
import BlobCore
import Foundation
import Glibc
import NIOCore
import Synchronization
import Testing

@Suite("1 GiB, with the server or the client killed", .inTurn, .timeLimit(.minutes(10)))
struct KilledTests {
    private static let byteCount: Int64 = 1 << 30
    private static let killCount = 20
    /// The bytes of an append that a server may lose: 32 MiB between two syncs, those in its memory, and on the way to
    /// it the buffers of two sockets: at most 4 MiB of one that sends and 6 MiB of one that receives.
    private static let lostPerKill: Int64 = (32 + 1 + 4 + 6) << 20

    /// Bytes of the file between two notes of the journal, by which a run may be ahead of the server.
    private static let noteSpacing: Int64 = 16 << 20
    /// Whatever the file's size, and in a debug build.
    private static let memoryLimit: Int64 = 128 << 20

    @Test("kill -9 of the server")
    func server() async throws {
        try await withServer { server in
            let path = try Self.file(in: server.folder.path)
            let port = Mutex(server.port)
            let proxy = try await FaultProxy.start { port.withLock { $0 } }
            var configuration = BlobServiceClient.Configuration()
            configuration.retries.firstPause = .milliseconds(20)
            configuration.retries.triesWithoutProgress = 100
            configuration.retries.longestPause = .milliseconds(200)
            let client = try BlobServiceClient(proxy.address, token: server.adminToken(), configuration: configuration)
            let upload = Task { try await client.upload(file: path) }
            defer { upload.cancel() }
            var generator = SystemRandomNumberGenerator()
            let step = Self.byteCount / Int64(Self.killCount + 1)
            for number in 1...Self.killCount {
                let place = Int64(number) * step - Int64.random(in: 0..<step, using: &generator)
                try await proxy.waitForUp(place)
                try await server.kill()
                try await server.start()
                port.withLock { $0 = server.port }
            }
            let file = try await upload.value
            #expect(try await file.digest == BlobServiceClient.digest(ofFile: path).hex)
            await client.shutdown()
            try await proxy.stop()
            let sent = proxy.counts.up
            print("\(Self.killCount) kills of the server: \((sent - Self.byteCount) >> 20) MiB sent twice")
            #expect(sent <= Self.byteCount + Int64(Self.killCount) * Self.lostPerKill)
            let direct = try BlobServiceClient(server.address, token: server.adminToken())
            let page = try await direct.files()
            #expect(page.items.map(\.size) == [Self.byteCount] && page.items.map(\.digest) == [file.digest])
            await direct.shutdown()
        }
    }

    @Test("kill -9 of the client")
    func client() async throws {
        try await withServer { server in
            let tool = try await BlobTool(server)
            let path = try Self.file(in: tool.home.path)
            let proxy = try await FaultProxy.start { [port = server.port] in port }
            let upload = ["upload", path, "--server", proxy.address]
            var generator = SystemRandomNumberGenerator()
            let step = Self.byteCount / Int64(Self.killCount + 1)
            var (read, mayRead) = (Int64(0), Int64(0))
            for number in 1...Self.killCount {
                let place = Int64(number) * step - Int64.random(in: 0..<step, using: &generator)
                // All bytes that were sent before, once, for the digest, and those that this run sends.
                mayRead += place + Self.lostPerKill + Self.noteSpacing
                let child = try tool.start(upload)
                try await proxy.waitForUp(place)
                read += try Self.figure("rchar", in: "/proc/\(child.pid)/io")
                #expect(try Self.figure("VmHWM", in: "/proc/\(child.pid)/status") << 10 <= Self.memoryLimit)
                child.signal(SIGKILL)
                #expect(try await child.waitForEnd() == .signal(SIGKILL))
            }
            #expect(tool.journal().count == 1 && tool.journal().allSatisfy { !$0.contains(tool.token) })
            let last = try await tool.run(upload)
            #expect(last.end == .code(0), "\(last)")
            #expect(try await last.firstWords == [BlobServiceClient.digest(ofFile: path).hex])
            #expect(tool.journal() == [])
            try await proxy.stop()
            let sent = proxy.counts.up
            print(
                "\(Self.killCount) kills of the client: \((sent - Self.byteCount) >> 20) MiB sent twice, \(read >> 20) read"
            )
            #expect(sent <= Self.byteCount + Int64(Self.killCount) * Self.lostPerKill)
            #expect(read <= mayRead)
        }
    }

    /// A figure of the kernel for a process.
    private static func figure(_ name: String, in file: String) throws -> Int64 {
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        let line = lines.first { $0.hasPrefix(name + ":") }
        return try #require(line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int64($0) })
    }

    /// Mostly holes, and every 64 KiB a number, so that pieces in another order have another digest.
    private static func file(in folder: String) throws -> String {
        let path = folder + "/large.bin"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else { throw Failure("ftruncate") }
        for offset in stride(from: Int64(0), to: byteCount, by: 64 << 10) {
            guard
                withUnsafeBytes(of: offset, { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset) + 12_345) })
                    == 8
            else { throw Failure("pwrite") }
        }
        return path
    }
}
