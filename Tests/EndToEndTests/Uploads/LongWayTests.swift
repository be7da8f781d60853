// Uploads over a long way: how often they wait for the server, by HTTP/1.1 and by HTTP/2.

import Foundation
import Testing

@Suite("uploads over a long way", .inTurn)
struct LongWayTests {
    private static let size = 8 << 20

    /// With windows of 64 KiB, 8 MiB would wait 128 times.
    private static let mostRoundTrips = 40

    @Test(
        "a path's delay costs a few round trips, not one for each window",
        arguments: [("--http1.1", "1.1", 1), ("--http2", "2", 1), ("--http2", "2", 8)])
    func roundTrips(_ option: String, _ version: String, streams: Int) async throws {
        try await withServer(["--tls-self-signed"]) { server in
            let proxy = try await RoundTripProxy.start(to: server.port)
            let bytes = try Sample.bytes(Self.size)
            let file = try server.folder.write(bytes, to: "file")
            let authorization = ["-k", option, "-H", "Authorization: Bearer \(try server.adminToken())"]
            let digest = Sample.digest(of: bytes)
            var requests: [String] = []
            for _ in 0..<streams {
                let begun = try await Curl.run(
                    authorization + ["-X", "POST", server.address + "/api/blobs/uploads"], in: server.folder)
                let upload = try Upload(begun.response)
                requests +=
                    (requests.isEmpty ? [] : ["--next"]) + authorization
                    + ["-sS", "-X", "POST", "-H", "PortSIP-Upload-Token: \(upload.token)"]
                    + ["-H", "Content-Type: application/octet-stream", "-T", file, "-o", "/dev/null"]
                    + ["-w", "%{http_version} %{http_code}\\n"]
                    + ["https://127.0.0.1:\(proxy.port)/api/blobs/uploads/\(upload.id)/complete?digest=\(digest)"]
            }
            // All of them on one connection, which the first one makes.
            let outcome = try await ChildProcess.run(
                ["curl", "--parallel", "--parallel-max", "\(streams)"] + requests, in: server.folder.path)
            let answers = outcome.output.split(separator: "\n").map(String.init)
            #expect(answers == Array(repeating: "\(version) 201", count: streams), "\(outcome)")
            #expect(proxy.roundTrips < Self.mostRoundTrips, "\(proxy.roundTrips)")
            try await proxy.stop()
        }
    }
}
