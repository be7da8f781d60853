// The server is killed again and again while the library uploads 1 GiB to it: the file arrives, and what was sent twice
// is what a server may lose.

import BlobClient
import BlobCore
import Foundation
import Glibc
import NIOCore
import Synchronization
import Testing

@Suite("The client of a server that is killed", .inTurn, .timeLimit(.minutes(10)))
struct KilledServerTests {
    private static let byteCount: Int64 = 1 << 30
    private static let killCount = 20
    /// What a server may lose of an append: 32 MiB between two syncs, what it holds in memory, and on the way to it the
    /// buffers of two sockets: at most 4 MiB of one that sends and 6 MiB of one that receives.
    private static let lostPerKill: Int64 = (32 + 1 + 4 + 6) << 20

    @Test("kill -9 of the server within an upload of 1 GiB")
    func server() async throws {
        try await withServer { server in
            let path = try Self.file(in: server.folder.path)
            let port = Mutex(server.port)
            let proxy = try await FaultProxy.start { port.withLock { $0 } }
            var configuration = ClientConfiguration()
            configuration.retries.firstPause = .milliseconds(20)
            configuration.retries.triesWithoutProgress = 100
            configuration.retries.longestPause = .milliseconds(200)
            let client = try BlobServer(proxy.address, token: server.adminToken(), configuration: configuration)
            let upload = Task { try await client.upload(file: path) }
            defer { upload.cancel() }
            var generator = SystemRandomNumberGenerator()
            let step = Self.byteCount / Int64(Self.killCount + 1)
            for number in 1...Self.killCount {
                let place = Int64(number) * step - Int64.random(in: 0..<step, using: &generator)
                try await proxy.waitForUp(place, within: .seconds(120))
                try await server.kill()
                try await server.start()
                port.withLock { $0 = server.port }
            }
            let file = try await upload.value
            #expect(try await file.digest == BlobServer.digest(ofFile: path).hex)
            await client.shutdown()
            try await proxy.stop()
            let sent = proxy.counts.up
            print("\(Self.killCount) kills: \(sent) bytes sent, \((sent - Self.byteCount) >> 20) MiB of them twice")
            #expect(sent <= Self.byteCount + Int64(Self.killCount) * Self.lostPerKill)
            let direct = try BlobServer(server.address, token: server.adminToken())
            let page = try await direct.files()
            #expect(page.items.map(\.size) == [Self.byteCount] && page.items.map(\.digest) == [file.digest])
            await direct.shutdown()
        }
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
