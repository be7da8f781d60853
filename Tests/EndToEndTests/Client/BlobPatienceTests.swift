// Errors of every file stop the whole run, after how many tries; the pace of a run, and its proxies.

import Foundation
import Testing

@Suite("blob's patience, pace and proxies", .inTurn)
struct BlobPatienceTests {
    // MARK: Errors that stop a run

    private static func writeFiles(_ blob: BlobTool, _ count: Int = 40) throws {
        try FileManager.default.createDirectory(
            atPath: blob.home.path + "/folder", withIntermediateDirectories: false)
        for number in 0..<count { _ = try blob.home.write(try Sample.bytes(2000), to: "folder/\(number)") }
    }

    @Test("a quota that is used up stops the run after the first proof, with one message")
    func quota() async throws {
        try await withServer(["--quota", "10KiB"]) { server in
            let blob = try await BlobTool(server)
            try Self.writeFiles(blob)
            let outcome = try await blob.run(["upload", "-r", "folder"])
            #expect(outcome.end == .code(1) && outcome.firstWords.count < 10, "\(outcome)")
            #expect(outcome.errors.components(separatedBy: "answered 403").count == 2, "\(outcome)")
            #expect(outcome.errors.contains("stopped: the other files would meet the same"), "\(outcome)")
        }
    }

    @Test(
        "a token that is refused, and a server that is gone, stop uploads, downloads and deletions",
        arguments: [true, false])
    func refused(isGone: Bool) async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            try Self.writeFiles(blob)
            let address = server.address
            if isGone { _ = try await server.stop() } else { _ = try blob.home.write(Array("wrong".utf8), to: "token") }
            let flags = ["--server", address] + (isGone ? [] : ["--token-file", "token"])
            let retries = isGone ? ["--retries", "0"] : []
            let word = isGone ? "cannot connect" : "answered 401"
            let digests = (0..<30).map { String(format: "%064x", $0) }
            for line in [["upload", "-r", "--again", "folder"], ["download"] + (isGone ? digests : ["a", "b", "c"])] {
                let outcome = try await blob.run(line + flags + retries, without: ["BLOB_SERVER"])
                #expect(outcome.end == .code(1) && outcome.output == "", "\(outcome)")
                let isStopped = outcome.errors.contains("would meet the same")
                #expect(outcome.errors.components(separatedBy: word).count == 2 && isStopped, "\(word): \(outcome)")
            }
            let ids = ["NzAwNTUxOTA5NzczMTQ4MTYw", "NzAwNTUxOTA5NzczMTQ4MTYx"]
            let outcome = try await blob.run(["delete"] + ids + flags, without: ["BLOB_SERVER"])
            #expect(outcome.end == .code(1) && outcome.errors.contains("the others would meet the same"), "\(outcome)")
        }
    }

    @Test("--wait goes on while the server is away, however few the retries")
    func wait() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            try Self.writeFiles(blob, 3)
            let (port, address) = (server.port, server.address)
            _ = try await server.stop()
            let child = try blob.start(
                ["upload", "-r", "--again", "folder", "--retries", "0", "--wait", "1h", "--server", address],
                without: ["BLOB_SERVER"])
            _ = try await child.errors.line { $0.contains("tries again") }
            try await server.start(["--listen", "127.0.0.1:\(port)"])
            #expect(try await child.waitForEnd() == .code(0))
            #expect(try await child.output.whole().split(separator: "\n").count == 3)
        }
    }

    // MARK: Pace

    @Test("--limit-rate holds for all files together, up and down, and for the last piece of one")
    func pace() async throws {
        let blob = try await BlobTool.shared()
        for name in ["a", "b"] { _ = try blob.home.write(try Sample.bytes(48 << 10), to: name) }
        let start = ContinuousClock.now
        let up = try await blob.run(["upload", "a", "b", "--limit-rate", "64KiB"])
        #expect(up.end == .code(0), "\(up)")
        // 96 KiB at 64 KiB/s, of which the last step need not be waited for.
        #expect(ContinuousClock.now - start > .milliseconds(1200))
        let between = ContinuousClock.now
        let down = try await blob.run(["download", "-o", "out/", "--limit-rate", "64KiB"] + up.firstWords)
        #expect(down.end == .code(0) && ContinuousClock.now - between > .milliseconds(700), "\(down)")
        #expect(try blob.home.read("out/a") == blob.home.read("a"))
    }

    // MARK: Proxies

    /// A proxy, and the lines that it has printed after its port.
    private static func withProxy(_ body: (String, ChildProcess) async throws -> Void) async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/proxy.py"
        let folder = try TemporaryFolder()
        let proxy = try ChildProcess(["/usr/bin/env", "python3", script], in: folder.path)
        let port = try #require(try await proxy.output.line { Int($0) != nil })
        try await body("127.0.0.1:\(port)", proxy)
        proxy.signal(SIGKILL)
        _ = try await proxy.waitForEnd()
    }

    @Test(
        "requests go through the proxy of the environment or the flag, and not where it says no",
        arguments: [false, true])
    func proxy(isSecure: Bool) async throws {
        try await withServer(isSecure ? ["--tls-self-signed"] : []) { server in
            let blob = try await BlobTool(server)
            _ = try blob.home.write(try Sample.bytes(5 << 20), to: "file")
            try await Self.withProxy { address, proxy in
                let ca = isSecure ? "--ca \(server.data)/tls/certificate.pem" : ""
                let upload = "$blob upload \(ca) --quiet file"
                let lines = [
                    "\(isSecure ? "https" : "http")_proxy=http://\(address) \(upload)", "\(upload) --proxy \(address)",
                    "all_proxy=http://user:word@\(address) \(upload)",
                ]
                for line in lines {
                    let count = proxy.output.soFar.split(separator: "\n").count
                    let outcome = try await blob.shell(line)
                    #expect(outcome.end == .code(0), "\(line): \(outcome)")
                    let new = proxy.output.soFar.split(separator: "\n").dropFirst(count)
                    #expect(!new.isEmpty && new.allSatisfy { $0.hasPrefix("CONNECT") }, "\(new)")
                    #expect(new.allSatisfy { $0.hasSuffix("credentials") == line.contains("word") }, "\(new)")
                }
                let count = proxy.output.soFar.count
                for line in [
                    "all_proxy=http://\(address) no_proxy=example.com,127.0.0.1 \(upload)",
                    "all_proxy=http://\(address) \(upload) --proxy none", "HTTP_PROXY=http://\(address) \(upload)",
                ] {
                    #expect(try await blob.shell(line).end == .code(0), "\(line)")
                }
                #expect(proxy.output.soFar.count == count)
            }
        }
    }
}
