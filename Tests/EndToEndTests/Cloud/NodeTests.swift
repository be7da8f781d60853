// What is particular to a node of many: redirects, and a store that is away. Needs the engines: `Tests/engines/run`.

import Foundation
import Testing

@Suite("Node", .inTurn)
struct NodeTests {
    @Test("with redirect-downloads, a download leads to the bucket, which gives the bytes and the name")
    func redirect() async throws {
        try await withServer(["--redirect-downloads"], on: CloudData()) { node in
            let client = try node.admin()
            let bytes = try Sample.bytes(100_000)
            let file = try await client.publish(bytes, filename: "ملف.txt")
            let answer = try await client.send(.download(file.digest))
            #expect(answer.status == 307 && answer.body.isEmpty)
            let location = try #require(answer.headers["Location"])
            let fetched = try await Curl.run([location], in: node.folder)
            #expect(fetched.response.status == 200 && fetched.response.body == bytes)
            let name = fetched.response.headers["Content-Disposition"] ?? ""
            #expect(name.contains("filename*=UTF-8''" + Request.encoded("ملف.txt")), "\(name)")
            // Who may follow no redirect still can ask.
            #expect(try await client.send(.head(file.digest)).headers["Content-Length"] == "100000")
        }
    }

    @Test("while the bucket is away, uploads get 503 and Retry-After at once, and what was acknowledged stays")
    func bucketAway() async throws {
        let cloud = try await CloudData()
        let (bytes, kept) = (try Sample.bytes(1000), try Sample.bytes(2000))
        let node = try ServerProcess(on: cloud)
        try await node.start()
        let open = try await node.admin().upload(holding: bytes)
        _ = try await node.admin().publish(kept)
        let admin = try node.adminToken()
        try await node.kill()
        let nowhere = ["BLOBD_S3_ENDPOINT": "http://127.0.0.1:1"]  // where nothing listens
        try await withServer(environment: nowhere, on: cloud, adminToken: admin) { node in
            let client = try node.admin()
            let begin = ContinuousClock.now
            let answer = try await client.send(.append(to: open, [1]))
            expect(answer, is: .unavailable)
            #expect(answer.headers["Retry-After"] != nil)
            #expect(begin.duration(to: .now) < .seconds(30))
            expect(try await client.send(.download(Sample.digest(of: kept))), is: .unavailable)
            #expect(try await client.anonymous.send(.get("/ready")).status == 503)
        }
        try await withServer(on: cloud, adminToken: admin) { node in
            let client = try node.admin()
            #expect(try await client.send(.download(Sample.digest(of: kept))).body == kept)
            #expect(try await client.complete(open).digest == Sample.digest(of: bytes))
        }
    }
}
