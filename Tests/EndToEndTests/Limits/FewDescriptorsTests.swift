// A server that may open few files: it says which limit it met and how to raise it, once and not hundreds of times.

import Foundation
import Testing

@Suite("Few descriptors", .inTurn)
struct FewDescriptorsTests {
    @Test("the log names the limit, of the listener and of the catalog, and folds what comes again")
    func told() async throws {
        let folder = try TemporaryFolder()
        // Connections stay, however slowly this goes on.
        let serve =
            "serve --data data --listen 127.0.0.1:0 --min-free-space 0 --header-timeout 600s --idle-timeout 600s"
        let child = try ChildProcess(
            ["/bin/sh", "-c", "ulimit -n 64; exec \(ServerProcess.executable) \(serve)"], in: folder.path)
        let line = try await child.output.line { $0.hasPrefix("blobd is ready on http") }
        let port = try #require(line.flatMap { Int($0.split(separator: ":").last ?? "") })
        _ = try await child.output.line { $0.contains("token revoke admin") }
        let token = String(decoding: try folder.read("data/admin-token"), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)

        var connections: [HTTPConnection] = []
        defer { connections.forEach { $0.close() } }
        for _ in 0..<100 { connections.append(try await HTTPConnection.open(port: port)) }
        let refused = try await eventually("the listener's limit is told") {
            child.errors.soFar.split(separator: "\n").first { $0.contains("a connection could not be taken") }
        }
        #expect(refused.contains("all 64 files") && refused.contains("LimitNOFILE"), "\(refused)")

        let request = "GET /api/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n\r\n"
        _ = try await eventually("the catalog has failed several times") {
            for index in connections.indices {
                do {
                    try await connections[index].send(request)
                } catch {
                    // The server closes what it took but had no descriptor to serve.
                    connections[index].close()
                    connections[index] = try await HTTPConnection.open(port: port)
                }
            }
            return child.errors.soFar.split(separator: "\n").count { $0.contains("status=503") } > 20 ? true : nil
        }
        child.signal(SIGTERM)
        connections.forEach { $0.close() }
        #expect(try await child.waitForEnd() == .code(0))
        let lines = try await child.errors.whole().split(separator: "\n").filter { $0.contains("The catalog failed") }
        #expect(lines.allSatisfy { $0.contains("errno=24") && $0.contains("all 64 files") }, "\(lines)")
        #expect(lines.count { !$0.contains("more times in") } <= 2, "\(lines)")
        #expect(lines.contains { $0.contains("more times in") }, "\(lines)")
    }
}
