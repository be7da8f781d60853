// The audit log: who did what, on the disk before anybody hears of it.

import Foundation
import Glibc
import Testing

@Suite("The audit log", .inTurn)
struct AuditLogTests {
    /// The lines of an audit log, each an object.
    private static func lines(_ path: String) throws -> [JSON] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try #require(text.hasSuffix("\n"), "a line has no end")
        return try text.split(separator: "\n").map { line in
            let json = try JSONDecoder().decode(JSON.self, from: Data(line.utf8))
            let time = try #require(json["time"]?.string)
            #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil, "\(line)")
            return json
        }
    }

    private static func last(_ path: String) throws -> JSON { try #require(try lines(path).last) }

    private static func expect(
        _ line: JSON, _ event: String, _ facts: [String: String], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (key, value) in facts.merging(["event": event], uniquingKeysWith: { $1 }) {
            let told = line[key]?.string ?? line[key]?.integer.map(String.init)
            #expect(told == value, "\(key) in \(line)", sourceLocation: sourceLocation)
        }
    }

    @Test("each event has its line when its answer is there: who, from where, what, and how it ended; no secret")
    func events() async throws {
        let server = try ServerProcess()
        let path = server.folder.path + "/audit.log"
        try await server.start(["--audit-log", path])
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        try Self.expect(Self.last(path), "token-created", ["token": "admin", "outcome": "ok", "uid": "\(getuid())"])

        let client = try await server.namedClient("phone", subject: "ada", "upload,read,delete", auditLog: path)
        Self.expect(
            try Self.last(path), "token-created",
            ["token": "phone", "subject": "ada", "scopes": "upload,read,delete", "expires": "never"])
        let who = ["subject": "ada", "token": "phone", "address": "127.0.0.1"]
        func line(_ event: String, _ facts: [String: String], _ id: String) throws {
            let facts = who.merging(facts) { $1 }.merging(["request": id]) { $1 }
            Self.expect(try Self.last(path), event, facts)
        }

        let name = #"a","outcome":"x"} "# + "é\u{1F600}.wav"
        let begun = try await client.send(.initiate(filename: name).with(["X-Request-ID": "one"]))
        let upload = try Upload(begun)
        try line("begin", ["upload": upload.id, "name": name, "status": "202", "outcome": "ok"], "one")
        let wrong = String(repeating: "0", count: 64)
        let refused = Request.complete(upload, digest: wrong).with(["X-Request-ID": "two"])
        #expect(try await client.send(refused).status == 400)
        try line("complete", ["upload": upload.id, "status": "400", "outcome": "DIGEST_INVALID"], "two")
        let bytes = try Sample.bytes(100)
        let completion = Request.complete(upload, .bytes(bytes)).with(["X-Request-ID": "three"])
        let file = try Published(await client.send(completion))
        let facts = ["file": file.id, "digest": file.digest, "name": name, "size": "100"]
        try line("complete", facts.merging(["upload": upload.id, "status": "201"]) { $1 }, "three")
        #expect(try await client.send(.destroyFile(file.id).with(["X-Request-ID": "four"])).status == 204)
        try line("delete", facts.merging(["status": "204", "outcome": "ok"]) { $1 }, "four")
        #expect(try await client.send(.destroyFile(file.id).with(["X-Request-ID": "five"])).status == 404)
        try line("delete", ["file": file.id, "status": "404", "outcome": "FILE_UNKNOWN"], "five")
        let given = try await client.initiate()
        #expect(try await client.send(.destroy(given).with(["X-Request-ID": "six"])).status == 204)
        try line("destroy", ["upload": given.id, "status": "204", "outcome": "ok"], "six")

        let stranger = Client(server: server, bearer: "blobd_nobody")
        #expect(try await stranger.send(.destroy(given).with(["X-Request-ID": "seven"])).status == 401)
        Self.expect(
            try Self.last(path), "sign-in-refused",
            ["address": "127.0.0.1", "operation": "destroy", "outcome": "UNAUTHORIZED", "request": "seven"])
        let revoked = try await server.command(
            ["token", "revoke", "phone", "--data", server.data, "--audit-log", path])
        #expect(revoked.end == .code(0), "\(revoked)")
        Self.expect(try Self.last(path), "token-revoked", ["token": "phone", "subject": "ada", "outcome": "ok"])

        let admin = try server.admin()
        let lastUpload = try Upload(await admin.send(.initiate()))
        try await server.kill()
        Self.expect(try Self.last(path), "begin", ["upload": lastUpload.id, "token": "admin"])
        let text = try String(contentsOfFile: path, encoding: .utf8)
        for secret in [client.bearer, admin.bearer, stranger.bearer, upload.token, given.token] {
            #expect(!text.contains(try #require(secret)))
        }
    }

    @Test("moved away and SIGHUP, again and again under load: every line is in one of the files, once")
    func rotation() async throws {
        let server = try ServerProcess()
        let path = server.folder.path + "/audit.log"
        try await server.start(["--audit-log", path])
        let client = try server.admin()
        try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var ids: [String] = []
                    for _ in 0..<25 {
                        let upload = try await client.initiate()
                        #expect(try await client.send(.destroy(upload)).status == 204)
                        ids.append(upload.id)
                    }
                    return ids
                }
            }
            for number in 0..<10 {
                try FileManager.default.moveItem(atPath: path, toPath: path + ".\(number)")
                try #require(server.child).signal(SIGHUP)
                try await eventually("it is made anew") { FileManager.default.fileExists(atPath: path) ? true : nil }
            }
            let ids = try await group.reduce(into: []) { $0 += $1 }
            let files = [path] + (0..<10).map { "\(path).\($0)" }
            let lines = try files.flatMap { path in
                try FileManager.default.contents(atPath: path)?.isEmpty == false ? Self.lines(path) : []
            }
            for event in ["begin", "destroy"] {
                let told = lines.filter { $0["event"]?.string == event }.compactMap { $0["upload"]?.string }
                #expect(told.sorted() == ids.sorted())
            }
        }
        #expect(try await server.stop() == .code(0))
    }

    /// How a log comes to be one that cannot be written.
    enum Obstacle: CaseIterable {
        /// Its directory is gone.
        case directory
        /// The system lets the server's files grow no further.
        case limit
    }

    @Test(
        "where it cannot be written, changes are 503 and downloads go on, until it can; what was done is told then",
        arguments: Obstacle.allCases)
    func unwritable(_ obstacle: Obstacle) async throws {
        let server = try ServerProcess()
        let directory = server.folder.path + "/audit"
        let path = directory + "/log"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        // Larger than any file of the data, so that the limit is for this one.
        let start = Int64(64 << 20)
        try Data().write(to: URL(fileURLWithPath: path))
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try file.truncate(atOffset: UInt64(start - 1))
        try file.seekToEnd()
        try file.write(contentsOf: Data("\n".utf8))
        try await server.start(["--audit-log", path, "--log-format", "json"])
        let client = try server.admin()
        let bytes = try Sample.bytes(1000)
        let blob = try await client.publish(bytes)
        let upload = try await client.initiate()

        let process = try #require(server.child)
        switch obstacle {
        case .directory: try FileManager.default.removeItem(atPath: directory)
        case .limit: try await Self.limitFiles(of: process.pid, to: try file.seekToEnd() + 100)
        }
        // The first meets it after it was done, the others before.
        EndToEndTests.expect(try await client.send(.destroy(upload)), is: .unavailable)
        EndToEndTests.expect(try await client.send(.initiate()), is: .unavailable)
        EndToEndTests.expect(try await client.send(.destroyFile(blob.id)), is: .unavailable)
        #expect(try await client.send(.download(blob.digest)).body == bytes)
        #expect(try await client.send(.file(blob.id)).status == 200)
        #expect(try await client.send(.get("/metrics")).text.contains("blobd_audit_log_writable 0\n"))
        #expect(process.errors.soFar.contains("the audit log cannot be written, and changes are refused until it can"))

        switch obstacle {
        case .directory: try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        case .limit: try await Self.limitFiles(of: process.pid, to: nil)
        }
        try await eventually("changes are taken again") {
            try await client.send(.initiate()).status == 202 ? true : nil
        }
        #expect(try await client.send(.get("/metrics")).text.contains("blobd_audit_log_writable 1\n"))
        let new = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        if obstacle == .limit { try new.seek(toOffset: UInt64(start)) }
        let text = String(decoding: try new.readToEnd() ?? Data(), as: UTF8.self)
        let lines = text.split(separator: "\n").map { try? JSONDecoder().decode(JSON.self, from: Data($0.utf8)) }
        #expect(lines.count { $0 == nil } <= (obstacle == .limit ? 1 : 0), "one line is cut off: \(text)")
        let whole = lines.compactMap { $0 }.suffix(3)
        #expect(whole.compactMap { $0["event"]?.string } == ["destroy", "log-resumed", "begin"], "\(text)")
        Self.expect(try #require(whole.first), "destroy", ["upload": upload.id, "outcome": "ok"])
        #expect(try await client.send(.destroyFile(blob.id)).status == 204)
        #expect(try await server.stop() == .code(0))
    }

    private static func limitFiles(of pid: pid_t, to size: UInt64?) async throws {
        let limit = size.map(String.init) ?? "unlimited"
        let outcome = try await ChildProcess.run(
            ["/usr/bin/env", "prlimit", "--pid", String(pid), "--fsize=\(limit):"], in: "/")
        guard outcome.end == .code(0) else { throw Failure("prlimit: \(outcome)") }
    }

    @Test("a line that a crash cut off gets its end before the next one")
    func torn() async throws {
        let server = try ServerProcess()
        let path = try server.folder.write(Array(#"{"time":"2026-"#.utf8), to: "audit.log")
        try await server.start(["--audit-log", path])
        _ = try await server.admin().initiate()
        try await server.kill()
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.first == #"{"time":"2026-"#)
        #expect(lines.dropFirst().map { $0.contains(#""event":"begin""#) } == [false, true], "\(lines)")
    }

    @Test("a flood of bad tokens has a few lines and a number, and a server that stops tells the number")
    func flood() async throws {
        let server = try ServerProcess()
        let path = server.folder.path + "/audit.log"
        try await server.start(["--audit-log", path])
        let connection = try await server.connect()
        let stranger = Client(server: server, bearer: "blobd_nobody")
        for _ in 0..<50 { #expect(try await stranger.send(.files(), on: connection).status == 401) }
        connection.close()
        #expect(try await server.stop() == .code(0))
        let refused = try Self.lines(path).filter { $0["event"]?.string == "sign-in-refused" }
        #expect(refused.count { $0["request"] != nil } == 5)
        let counted = refused.filter { $0["count"] != nil }
        #expect(counted.compactMap { $0["count"]?.integer }.reduce(0, +) == 45, "\(refused)")
        #expect(counted.allSatisfy { $0["address"]?.string == "127.0.0.1" && $0["seconds"]?.integer != nil })
    }

    @Test("'-' is standard output, which then has nothing else")
    func standardOutput() async throws {
        let server = try ServerProcess()
        try await server.start(["--audit-log", "-"])
        let upload = try await server.admin().initiate()
        let output = try #require(server.child).output
        #expect(try await server.stop() == .code(0))
        let lines = try await output.whole().split(separator: "\n").map {
            try JSONDecoder().decode(JSON.self, from: Data($0.utf8))
        }
        #expect(lines.compactMap { $0["event"]?.string } == ["token-created", "begin"])
        #expect(lines.last?["upload"]?.string == upload.id)
    }

    @Test("a command that cannot add its line makes no token; a log that is no file is refused, by name")
    func commands() async throws {
        let server = try ServerProcess()
        try await server.start()
        let missing = server.folder.path + "/none/audit.log"
        let made = try await server.command(
            ["token", "create", "phone", "--data", server.data, "--audit-log", missing])
        #expect(made.end == .code(1) && made.output == "", "\(made)")
        #expect(made.errors.contains("audit-log: the file '\(missing)' cannot be written"), "\(made)")
        let list = try await server.command(["token", "list", "--data", server.data])
        #expect(!list.output.contains("phone"))
        for path in [missing, server.folder.path, "/dev/full"] {
            let flags = ["--data", server.folder.path + "/other", "--listen", "127.0.0.1:0", "--audit-log", path]
            for command in [["serve"], ["config", "--check"]] {
                let outcome = try await server.command(command + flags)
                #expect(outcome.end == .code(1) && outcome.errors.contains("'\(path)'"), "\(outcome)")
            }
        }
        try await server.kill()
    }
}
