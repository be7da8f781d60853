// Contract, not on the API: /health, /ready, /metrics and /openapi.json.

import Foundation
import Glibc
import Testing

@Suite("Not on the API", .inTurn)
struct ServerRoutesTests {
    @Test("/health: the process is up; /ready: stores reachable, disk writable", arguments: ["/health", "/ready"])
    func up(_ path: String) async throws {
        #expect(try await Client.shared.anonymous.send(.get(path)).status == 200)
    }

    @Test(
        "HEAD is answered where GET is, with the same headers and no body",
        arguments: ["/health", "/ready", "/openapi.json", "/api/files"])
    func head(_ path: String) async throws {
        let client = try await Client.newSubject()
        let head = try await client.send(Request(method: "HEAD", target: path))
        let get = try await client.send(.get(path))
        #expect(head.status == 200 && head.body.isEmpty)
        for name in ["Content-Type", "Content-Length"] { #expect(head.headers[name] == get.headers[name]) }
    }

    @Test(
        "/ready is 503 when a part of the disk cannot be written to; /health stays 200",
        arguments: ["uploads", "blobs"])
    func notReady(_ folder: String) async throws {
        try await withServer { server in
            let client = try server.admin().anonymous
            try server.takeAway(folder)
            try await eventually("the server is not ready") {
                try await client.send(.get("/ready")).status == 503 ? true : nil
            }
            #expect(try await client.send(.get("/health")).status == 200)
            try server.putBack(folder)
            try await eventually("the server is ready again") {
                try await client.send(.get("/ready")).status == 200 ? true : nil
            }
        }
    }

    @Test(
        "/ready tells whether anything can be added, and why not",
        arguments: [
            ([], #"{"writable":true}"#),
            (["--min-free-space", "1000000GiB"], #"{"reason":"The disk is too full to take more","writable":false}"#),
            (["--read-only"], #"{"reason":"The server is read-only for now","writable":false}"#),
        ])
    func writable(_ flags: [String], _ body: String) async throws {
        try await withServer(flags) { server in
            let response = try await server.admin().anonymous.send(.get("/ready"))
            #expect(response.status == 200)
            #expect(response.headers["Content-Type"] == "application/json")
            #expect(String(decoding: response.body, as: UTF8.self) == body)
        }
    }

    @Test("while the catalog can take no change, /ready and /metrics tell what they last knew")
    func slow() async throws {
        try await withServer { server in
            let client = try server.admin()
            #expect(try await client.anonymous.send(.get("/ready")).status == 200)
            let lock = try WriteLock(ofCatalogIn: server.data)
            async let upload = client.initiate()
            // Each would wait as long as the upload does.
            for path in ["/ready", "/metrics"] {
                #expect(try await client.anonymous.send(.get(path)).status == 200)
            }
            lock.letGo()
            _ = try await upload
            #expect(try await client.anonymous.send(.get("/ready")).status == 200)
        }
    }

    /// SQLite's own lock of the writer (https://sqlite.org/walformat.html, "WAL Locks"): byte 120 of the shared
    /// memory's file.
    private final class WriteLock {
        private let descriptor: CInt

        init(ofCatalogIn folder: String) throws {
            descriptor = open(folder + "/catalog.sqlite-shm", O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { throw Failure("open: \(errno)") }
            var lock = flock()
            (lock.l_type, lock.l_whence, lock.l_start, lock.l_len) = (Int16(F_WRLCK), Int16(SEEK_SET), 120, 1)
            guard fcntl(descriptor, F_SETLKW, &lock) == 0 else { throw Failure("lock: \(errno)") }
        }

        func letGo() { close(descriptor) }
    }

    @Test("/openapi.json is an OpenAPI 3.1 document that names every path")
    func openAPI() async throws {
        let response = try await Client.shared.anonymous.send(.get("/openapi.json"))
        #expect(response.headers["Content-Type"]?.hasPrefix("application/json") == true)
        let document = OpenAPIDocument(root: try #require(response.json))
        #expect(document.root["openapi"]?.string?.hasPrefix("3.1") == true)
        let operations = document.paths.flatMap { template, item in
            (item.object ?? [:]).keys.map { "\($0) \(template.replacing(/\{[^}]*\}/, with: "{}"))" }
        }
        for operation in [
            "post /api/blobs/uploads", "post /api/blobs/uploads/{}/append", "get /api/blobs/uploads/{}/status",
            "post /api/blobs/uploads/{}/complete", "post /api/blobs/uploads/{}/destroy", "get /api/blobs/{}",
            "head /api/blobs/{}", "get /api/files", "get /api/files/{}", "post /api/files/{}/destroy", "get /health",
            "get /ready", "get /metrics", "get /openapi.json",
        ] {
            #expect(operations.contains(operation))
        }
    }
}

@Suite("/metrics", .inTurn)
struct MetricsTests {
    /// The samples of Prometheus' text: the name with its labels, and the value.
    private func samples(_ client: Client) async throws -> [(name: String, value: Double)] {
        let response = try await client.anonymous.send(.get("/metrics"))
        #expect(response.status == 200)
        #expect(response.headers["Content-Type"]?.hasPrefix("text/plain") == true)
        return try response.text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                throw Failure("not a sample: \(line)")
            }
            return (String(line[..<space]), value)
        }
    }

    @Test("from the start each has HELP and TYPE, counters end in _total, and what an alert watches is there")
    func fromTheStart() async throws {
        try await withServer { server in
            let text = try await server.admin().anonymous.send(.get("/metrics")).text
            let lines = text.split(separator: "\n")
            let (types, helps) = (Self.described("TYPE", lines), Self.described("HELP", lines))
            #expect(types.keys == helps.keys, "\(types.keys) and \(helps.keys)")
            #expect(types.allSatisfy { ($0.value == "counter") == $0.key.hasSuffix("_total") }, "\(types)")
            let watched = [
                #"blobd_reclaimed_total{kind="uploads"}"#, #"blobd_reclaimed_total{kind="files"}"#,
                #"blobd_reclaimed_total{kind="blobs"}"#, #"blobd_reclaimed_total{kind="orphans"}"#,
                "blobd_reclaim_failures_total", "blobd_damaged_blobs_total",
            ]
            for series in watched { #expect(lines.contains("\(series) 0"), "\(series) in \(text)") }
            #expect(lines.contains { $0.hasPrefix("blobd_fsync_duration_seconds_count ") }, "\(text)")
        }
    }

    /// The texts of the lines of one kind, by the name of the metric.
    private static func described(_ kind: String, _ lines: [Substring]) -> [Substring: Substring] {
        let words = lines.filter { $0.hasPrefix("# \(kind) ") }.map { $0.split(separator: " ", maxSplits: 3) }
        return Dictionary(words.map { ($0[2], $0[3]) }) { first, _ in first }
    }

    @Test(
        "requests and their latency by route and status, bytes in and out, uploads, blobs, files, disk, fsync, commit")
    func families() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            _ = try await client.publish(bytes)
            _ = try await client.initiate()
            #expect(try await client.send(.download(Sample.digest(of: bytes))).body == bytes)
            let names = try await eventually("all has been counted") {
                let samples = try await samples(client)
                let missing = Self.families.filter { family in
                    !samples.contains { sample in family.wholeMatch(sample.name) && sample.value > 0 }
                }
                return missing.isEmpty ? samples.map(\.name) : nil
            }
            #expect(names.allSatisfy { $0.hasPrefix("blobd_") }, "\(names)")
        }
    }

    /// The names and labels that a family's samples must have.
    struct Family: Sendable {
        let parts: [String]
        func wholeMatch(_ name: String) -> Bool {
            name.hasPrefix("blobd_") && parts.allSatisfy { name.contains($0) }
        }
    }

    static let families = [
        ["requests", "route=", "status=\"201\""], ["request_duration", "_bucket", "route=", "status=", "le="],
        ["request_duration", "_count"], ["received_bytes"], ["sent_bytes"], ["uploads_open"], ["blobd_blobs"],
        ["files"],
        ["disk_free"], ["fsync", "_count"], ["commit", "_count"],
    ].map(Family.init)

    @Test("what can be counted is counted right")
    func counts() async throws {
        try await withServer { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(1000)
            for _ in 0..<3 { _ = try await client.publish(bytes) }
            _ = try await client.publish(Sample.bytes(10))
            _ = try await client.initiate()
            for (name, value) in [("blobd_uploads_open", 1.0), ("blobd_blobs", 2), ("blobd_files", 4)] {
                try await eventually("\(name) is \(value)") {
                    try await samples(client).contains { $0.name == name && $0.value == value } ? true : nil
                }
            }
        }
    }

    @Test("what a client invents makes no new series")
    func bounded() async throws {
        try await withServer { server in
            let client = try server.admin()
            for number in 0..<20 {
                _ = try await client.send(.get("/invented-\(number)"))
                _ = try await client.send(.download(Sample.digest(of: [UInt8(number)])))
            }
            let names = try await samples(client).map(\.name)
            #expect(!names.contains { $0.contains("invented") || $0.contains(Sample.digest(of: [1])) })
        }
    }
}
