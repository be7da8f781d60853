// Behaviour that only a node of many has: redirects, and a store that is away, or has lost bytes. Needs the engines:
// `Tests/engines/run`.

import Foundation
import NIOCore
import S3Client
import Testing

@Suite("Node", .inTurn)
struct NodeTests {
    @Test("with redirect-downloads, a download leads to the bucket, which gives the bytes and the name")
    func redirect() async throws {
        let app = "https://app.example.com"
        try await withServer(["--redirect-downloads", "--cors-origins", app], on: CloudData()) { node in
            let client = try node.admin()
            let bytes = try Sample.bytes(100_000)
            let file = try await client.publish(bytes, filename: "ملف.txt")
            let answer = try await client.send(.download(file.digest, ["Origin": app]))
            #expect(answer.status == 307 && answer.body.isEmpty)
            #expect(answer.headers["Access-Control-Allow-Origin"] == app)
            let location = try #require(answer.headers["Location"])
            let fetched = try await Curl.run([location], in: node.folder)
            #expect(fetched.response.status == 200 && fetched.response.body == bytes)
            let name = fetched.response.headers["Content-Disposition"] ?? ""
            #expect(name.contains("filename*=UTF-8''" + Request.encoded("ملف.txt")), "\(name)")
            // A client that may follow no redirect can still ask for the headers.
            #expect(try await client.send(.head(file.digest)).headers["Content-Length"] == "100000")
        }
    }

    @Test("with redirect-downloads, blob downloads from the bucket: whole, from where it stopped, a part, in a folder")
    func redirectedTool() async throws {
        try await withServer(["--redirect-downloads", "--private-downloads"], on: CloudData()) { node in
            let blob = try await BlobTool(node)
            let client = Client(server: node, bearer: blob.token)
            let bytes = try Sample.bytes(3_000_000)
            let file = try await client.publish(bytes, filename: "call.wav")
            // One object: otherwise the node sends the bytes itself.
            #expect(try await client.send(.download(file.digest)).status == 307)

            let whole = try await blob.run(["download", "call.wav"])
            #expect(whole.end == .code(0), "\(whole)")
            #expect(try blob.home.read("call.wav") == bytes)

            _ = try blob.home.write(Array(bytes[..<1_000_000]), to: ".rest.\(file.digest.prefix(16)).part")
            let rest = try await blob.run(["download", file.digest, "-o", "rest", "--json"])
            #expect(rest.end == .code(0), "\(rest)")
            #expect(try rest.jsonLines().first { $0["event"]?.string == "began" }?["offset"]?.integer == 1_000_000)
            #expect(try blob.home.read("rest") == bytes)

            let streams = try await blob.run(["download", "call.wav", "--streams", "4", "-o", "streams"])
            #expect(streams.end == .code(0), "\(streams)")
            #expect(try blob.home.read("streams") == bytes)
            let part = try await blob.shell("$blob download call.wav -o - --range=10-19 | sha256sum")
            #expect(part.output == "\(Sample.digest(of: Array(bytes[10..<20])))  -\n", "\(part)")
            let info = try await blob.run(["info", file.digest, "--json"])
            #expect(try info.jsonLines().first?["name"]?.string == "call.wav", "\(info)")
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

    @Test(
        "check finds what was changed, cut or deleted in the bucket; none of it is served, and the same bytes heal it")
    func damage() async throws {
        let cloud = try await CloudData()
        // The first stays as it is; the last one is two objects.
        let contents = try [1000, 1001, 1002, 1003, 17 << 20].map(Sample.bytes)
        let digests = contents.map(Sample.digest)
        try await withServer(on: cloud) { node in
            let client = try node.admin()
            for bytes in contents { _ = try await client.publish(bytes) }
            // A node makes one object of several at a time of its own choice.
            _ = try await node.stop()
            try await cloud.withBucket { bucket in
                for (number, digest) in digests.enumerated().dropFirst() {
                    let key = try await cloud.lastKey(of: digest)
                    let size = try #require(try await bucket.head(key)?.size)
                    switch number {
                    case 1: try await bucket.put(key, [ByteBuffer(repeating: 7, count: Int(size) - 1)])
                    case 2: #expect(try await bucket.delete([key]).isEmpty)
                    default: try await bucket.put(key, [ByteBuffer(repeating: 7, count: Int(size))])
                    }
                }
            }
            func damaged(_ flags: [String]) async throws -> Set<String> {
                let found = try await node.command(["check", "--json"] + flags)
                #expect(found.end == .code(1), "\(found)")
                return try found.namedDigests()
            }
            #expect(try await damaged(["--quick"]) == Set(digests[1...2]))
            #expect(try await damaged([]) == Set(digests[1...]))

            try await node.start()
            for digest in digests[1...] { expect(try await client.send(.download(digest)), is: .blobCorrupt) }
            #expect(try await client.send(.download(digests[0])).body == contents[0])
            for bytes in contents[1...] { _ = try await client.publish(bytes) }
            for (digest, bytes) in zip(digests, contents) {
                #expect(try await client.send(.download(digest)).body == bytes)
            }
            #expect(try await node.command(["check"]).end == .code(0))
        }
    }

    @Test(
        "while the bucket is away, commands tell so and end with an error", arguments: [("check", 2), ("reclaim", 1)])
    func commandsWithoutBucket(command: String, code: Int32) async throws {
        let cloud = try await CloudData()
        try await withServer(on: cloud) { node in
            _ = try await node.admin().publish(try Sample.bytes(1000))
            _ = try await node.stop()
            let away = cloud.settings.merging(["BLOBD_S3_ENDPOINT": "http://127.0.0.1:1"]) { $1 }
            let outcome = try await ChildProcess.run(
                [ServerProcess.executable, command], in: node.folder.path, environment: away)
            #expect(outcome.end == .code(code), "\(outcome)")
            #expect(outcome.errors.contains("The storage cannot be reached now"), "\(outcome.errors)")
        }
    }

    @Test("an object that was replaced is never sent, before anybody checks, and the same content heals it at once")
    func replaced() async throws {
        let cloud = try await CloudData()
        let contents = try [5000, 17 << 20].map(Sample.bytes)
        try await withServer(on: cloud) { first in
            try await withServer(on: cloud, adminToken: try first.adminToken()) { second in
                for bytes in contents {
                    let digest = try await first.admin().publish(bytes).digest
                    let key = try await cloud.lastKey(of: digest)
                    try await cloud.withBucket { bucket in
                        let size = try #require(try await bucket.head(key)?.size)
                        try await bucket.put(key, [ByteBuffer(repeating: 7, count: Int(size))])
                    }
                    let last = bytes.count - 1
                    let request = Request.download(digest, ["Range": "bytes=\(last)-\(last)"])
                    expect(try await second.admin().send(request), is: .blobCorrupt)
                    expect(try await first.admin().send(.download(digest)), is: .blobCorrupt)
                    _ = try await second.admin().publish(bytes)
                    for node in [first, second] {
                        #expect(try await node.admin().send(.download(digest)).body == bytes)
                    }
                    #expect(try await cloud.number("SELECT count(*) FROM blobs WHERE condition <> 0") == 0)
                }
            }
        }
    }

    @Test("tokens need no key of the bucket, and an empty database takes its first token before its first server")
    func tokens() async throws {
        let cloud = try await CloudData()
        let settings = cloud.settings.filter { !$0.key.contains("_S3_") }
        let node = try ServerProcess(on: cloud)
        func token(_ arguments: String...) async throws -> ChildProcess.Outcome {
            try await ChildProcess.run(
                [ServerProcess.executable, "token"] + arguments, in: node.folder.path, environment: settings)
        }
        let early = try await token("list")
        #expect(early.end == .code(1) && early.errors.contains("start a server on it once"), "\(early)")
        #expect(try await cloud.number("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == 0)
        let made = try await token("create", "first", "--scopes", "upload,read")
        #expect(made.end == .code(0), "\(made)")
        let bearer = made.output.trimmingCharacters(in: .whitespacesAndNewlines)
        try await withServer(on: cloud, adminToken: bearer) { node in
            #expect(try await node.admin().publish([1, 2, 3]).digest == Sample.digest(of: [1, 2, 3]))
            #expect(try await token("list").output.contains("first"))
            #expect(try await token("revoke", "first").end == .code(0))
            expect(try await node.admin().send(.files()), is: .unauthorized)
        }
    }

    @Test("only a server brings a database of an older version up to date; every other command tells what to do")
    func olderDatabase() async throws {
        let cloud = try await CloudData()
        try await cloud.run(scripts: ["version-1", "version-2"])
        let node = try ServerProcess(on: cloud)
        let version = "SELECT version FROM schema_version"
        for (command, code) in [("reclaim", 1), ("check", 2), ("token list", 1), ("token create a", 1)]
            as [(String, Int32)]
        {
            let refused = try await node.command(command.split(separator: " ").map(String.init))
            #expect(
                refused.end == .code(code) && refused.errors.contains("start this version's server once"), "\(refused)")
            #expect(try await cloud.number(version) == 2)
        }
        try await withServer(on: cloud) { node in
            #expect(try await cloud.number(version) > 2)
            let client = try node.admin()
            let file = try await client.publish([1, 2, 3])
            #expect(try await client.send(.download(file.digest)).body == [1, 2, 3])
            #expect(try await node.command(["check"]).end == .code(0))
        }
    }
}
