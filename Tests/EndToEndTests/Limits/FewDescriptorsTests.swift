// A server that may open few files: it goes on serving the connections that it has taken, lets the others wait, and
// says which limit it met and how to raise it, once and not hundreds of times.

import Foundation
import Testing

@Suite("Few descriptors", .inTurn)
struct FewDescriptorsTests {
    private static let limit = 96

    @Test("more connections than files never end the process, and all are served in their turn")
    func connections() async throws {
        try await Self.withServer { child, port, token in
            let request = Request.files().with(["Authorization": "Bearer \(token)"])
            // Twice as many as there are files: all are in the kernel's queue, and a part of them is taken.
            var connections: [HTTPConnection] = []
            defer { connections.forEach { $0.close() } }
            for _ in 0..<2 * Self.limit { connections.append(try await HTTPConnection.open(port: port)) }
            for connection in connections { try await connection.send(request) }
            let told = try await eventually("the limit is told") {
                child.errors.soFar.split(separator: "\n").first { $0.contains("a connection could not be taken") }
            }
            #expect(told.contains("all \(Self.limit) files") && told.contains("LimitNOFILE"), "\(told)")
            // Connections that were taken are served; each that ends makes room for one that waits, and for no more.
            while !connections.isEmpty {
                let connection = connections.removeFirst()
                #expect(try await connection.receive().status == 200)
                let answered = try connections.count { try $0.hasNews() }
                connection.close()
                guard answered < connections.count else { continue }
                try await eventually("another is taken", every: .milliseconds(5)) {
                    try connections.count { try $0.hasNews() } > answered ? true : nil
                }
                #expect(try Self.fileCount(of: child.pid) < Self.limit * 7 / 8)
            }
            child.signal(SIGTERM)
            #expect(try await child.waitForEnd() == .code(0))
            let lines = try await child.errors.whole().split(separator: "\n")
            let gate = lines.filter { $0.contains("a connection could not be taken") }
            #expect(gate.count { !$0.contains("more times in") } <= 2, "\(gate)")
            #expect(!lines.contains { $0.contains("status=503") })
        }
    }

    /// How many files a process has open.
    private static func fileCount(of pid: pid_t) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
    }

    /// - Parameter body: gets the server, its port, and its administrator's token.
    private static func withServer(_ body: (ChildProcess, Int, String) async throws -> Void) async throws {
        let folder = try TemporaryFolder()
        // Connections stay, however slowly this goes on.
        let serve =
            "serve --data data --listen 127.0.0.1:0 --min-free-space 0 --header-timeout 600s --idle-timeout 600s"
        let child = try ChildProcess(
            ["/bin/sh", "-c", "ulimit -n \(limit); exec \(ServerProcess.executable) \(serve)"], in: folder.path)
        let line = try await child.output.line { $0.hasPrefix("blobd is ready on http") }
        let port = try #require(line.flatMap { Int($0.split(separator: ":").last ?? "") })
        _ = try await child.output.line { $0.contains("token revoke admin") }
        let token = String(decoding: try folder.read("data/admin-token"), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        try await body(child, port, token)
    }
}
