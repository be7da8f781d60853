// A server that may open few files: it goes on serving, whatever crowd has connections open, and tells its limits.

import Foundation
import Glibc
import Testing

@Suite("Few descriptors", .inTurn)
struct FewDescriptorsTests {
    private static let limit = 256

    @Test("400 silent connections at a limit of 256 files keep nobody waiting, and no request without a file")
    func silentCrowd() async throws {
        try await Self.withServer { server, child in
            let client = try server.admin()
            var digests: [String] = []
            // More than there are files for blobs beside the connections.
            for _ in 0..<120 { digests.append(try await client.publish(Sample.bytes(100)).digest) }
            var crowd: [HTTPConnection] = []
            defer { crowd.forEach { $0.close() } }
            for _ in 0..<400 { crowd.append(try await server.connect()) }
            let start = ContinuousClock.now
            let cpu = try Self.cpuTime(of: child.pid)
            let newcomer = try await server.connect()
            defer { newcomer.close() }
            for digest in digests {
                let answer = try await client.send(.download(digest), on: newcomer)
                #expect(answer.status == 200)
                #expect(try Self.fileCount(of: child.pid) < Self.limit * 15 / 16)
            }
            // A debug build needs a millisecond or two for each.
            #expect(try Self.cpuTime(of: child.pid) - cpu < .seconds(2))
            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(try crowd.count { try $0.hasNews() } > 400 - Self.limit, "the others were closed")
            child.signal(SIGTERM)
            #expect(try await child.waitForEnd() == .code(0))
            let log = try await child.errors.whole()
            #expect(log.contains("idle connections are closed"))
            #expect(!log.contains("status=503"), "\(log.suffix(1000))")
        }
    }

    @Test("where the system refuses to accept, the server rests, and goes on when it can")
    func refusedAccept() async throws {
        try await Self.withServer { server, child in
            let client = try server.admin()
            let upload = try await client.initiate()
            let busy = try await server.connect()
            defer { busy.close() }
            try await client.startAppend(to: upload, .announced(2), sending: [1], on: busy)
            // The server listens, and may open nothing more.
            try await Self.limitFiles(of: child.pid, to: 10)
            let newcomer = try await server.connect()
            defer { newcomer.close() }
            try await newcomer.send(Request.get("/health"))
            _ = try await child.errors.line { $0.contains("a connection could not be taken") }
            let cpu = try Self.cpuTime(of: child.pid)
            await #expect(throws: Failure.self, "it waits") {
                try await newcomer.waitForClose(within: .seconds(1))
            }
            #expect(try Self.cpuTime(of: child.pid) - cpu < .milliseconds(200))
            try await Self.limitFiles(of: child.pid, to: Self.limit)
            #expect(try await newcomer.receive().status == 200)
            try await busy.send([2])
            #expect(try await client.receive(.append(to: upload, [1, 2]), on: busy).status == 203)
        }
    }

    @Test("where all connections are busy a newcomer waits until one is not")
    func allBusy() async throws {
        try await Self.withServer(["--max-connections", "2"]) { server, child in
            let client = try server.admin()
            let uploads = [try await client.initiate(), try await client.initiate()]
            let busy = [try await server.connect(), try await server.connect()]
            defer { busy.forEach { $0.close() } }
            for (upload, connection) in zip(uploads, busy) {
                try await client.startAppend(to: upload, .announced(2), sending: [1], on: connection)
                try await connection.waitUntilRead()
            }
            let newcomer = try await server.connect()
            defer { newcomer.close() }
            try await newcomer.send(Request.get("/health"))
            _ = try await child.errors.line { $0.contains("all connections are busy") }
            await #expect(throws: Failure.self, "it waits") {
                try await newcomer.waitForClose(within: .milliseconds(300))
            }
            try await busy[0].send([2])
            #expect(try await client.receive(.append(to: uploads[0], [1, 2]), on: busy[0]).status == 203)
            #expect(try await newcomer.receive().status == 200)
            try await busy[0].waitForClose()
            try await busy[1].send([2])
            #expect(try await client.receive(.append(to: uploads[1], [1, 2]), on: busy[1]).status == 203)
        }
    }

    @Test("a client over its number of connections: its own oldest idle one goes; where none is idle, it gets no more")
    func perAddress() async throws {
        try await Self.withServer(["--max-connections-per-address", "2"]) { server, child in
            let client = try server.admin()
            let first = try await server.connect()
            let second = try await server.connect()
            let third = try await server.connect()
            defer { [first, second, third].forEach { $0.close() } }
            try await first.waitForClose()
            var uploads: [Upload] = []
            for connection in [second, third] {
                uploads.append(try Upload(await client.send(.initiate(), on: connection)))
            }
            for (upload, connection) in zip(uploads, [second, third]) {
                try await client.startAppend(to: upload, .announced(2), sending: [1], on: connection)
                try await connection.waitUntilRead()
            }
            let fourth = try await server.connect()
            defer { fourth.close() }
            #expect(try await fourth.receiveIfAny() == nil)
            _ = try await child.errors.line { $0.contains("max-connections-per-address") }
            try await second.send([2])
            #expect(try await client.receive(.append(to: uploads[0], [1, 2]), on: second).status == 203)
            let fifth = try await server.connect()
            defer { fifth.close() }
            #expect(try await client.send(.get("/health"), on: fifth).status == 200)
            try await second.waitForClose()
        }
    }

    @Test("more connections than there can be files for: an error at the start that says what would be right")
    func tooManyWanted() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await ChildProcess.run(
            [
                "/bin/sh", "-c",
                "ulimit -n 256; exec \(ServerProcess.executable) serve --data data --max-connections 256",
            ],
            in: folder.path)
        #expect(outcome.end == .code(1))
        #expect(outcome.errors.contains("max-connections: ") && outcome.errors.contains("LimitNOFILE"), "\(outcome)")
    }

    /// Connections stay, however slowly this goes on.
    private static func withServer(
        _ flags: [String] = [], _ body: (ServerProcess, ChildProcess) async throws -> Void
    ) async throws {
        let times = ["header", "idle", "body"].flatMap { ["--\($0)-timeout", "600s"] }
        try await EndToEndTests.withServer(times + flags, files: limit) { server in
            try await body(server, try #require(server.child))
        }
    }

    /// How many files a process has open.
    private static func fileCount(of pid: pid_t) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
    }

    /// The time that a process has computed, by itself and in the kernel.
    private static func cpuTime(of pid: pid_t) throws -> Duration {
        let status = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // Behind the name, which may hold anything: utime and stime are the 14th and the 15th of proc_pid_stat(5).
        let words = status.split(separator: ")").last?.split(separator: " ").map { Int($0) ?? 0 } ?? []
        return .milliseconds((words[11] + words[12]) * 1000 / sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Sets how many files a running process may have open.
    private static func limitFiles(of pid: pid_t, to count: Int) async throws {
        let outcome = try await ChildProcess.run(["prlimit", "--pid", "\(pid)", "--nofile=\(count):"], in: "/")
        guard outcome.end == .code(0) else { throw Failure("\(outcome)") }
    }
}
