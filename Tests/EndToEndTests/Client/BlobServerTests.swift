// Servers, tokens and files of `blob`.

import Foundation
import Testing

@Suite("blob's servers and files", .inTurn)
struct BlobServerTests {
    @Test("login stores a token that the server knows, for its owner alone; then no variable is needed; logout forgets")
    func login() async throws {
        let blob = try await BlobTool.shared()
        _ = try blob.home.write(Array("\(blob.token)\n".utf8), to: "token")
        let none = ["BLOB_SERVER", "BLOB_TOKEN"]
        let unknown = try await blob.run(["list"], without: none)
        #expect(unknown.end == .code(2) && unknown.errors.contains("--server") && unknown.errors.contains("blob login"))

        let login = "$blob login here --server \(blob.server.address)"
        let wrong = try await blob.shell("echo wrong | \(login)", without: none)
        #expect(wrong.end == .code(1) && wrong.errors.contains("does not know this token"), "\(wrong)")
        let file = blob.home.path + "/config/blob/servers.json"
        #expect(!FileManager.default.fileExists(atPath: file))

        let right = try await blob.shell("umask 0; \(login) <token", without: none)
        #expect(right.end == .code(0) && !(right.output + right.errors).contains(blob.token), "\(right)")
        let modes = try [file, blob.home.path + "/config/blob"].map {
            try FileManager.default.attributesOfItem(atPath: $0)[.posixPermissions] as? Int
        }
        #expect(modes == [0o600, 0o700])
        for flags in [[], ["--server", "here"]] {
            let list = try await blob.run(["list"] + flags, without: none)
            #expect(list.end == .code(0) && list.output == "" && list.errors == "", "\(list)")
        }
        let logout = try await blob.run(["logout", "here"], without: none)
        #expect(logout.end == .code(0), "\(logout)")
        #expect(try await blob.run(["list"], without: none).end == .code(2))
        #expect(try await blob.run(["logout", "here"], without: none).end == .code(1))
    }

    @Test("login lists what is stored, and makes another server the default without asking for its token")
    func defaults() async throws {
        let blob = try await BlobTool.shared()
        let none = ["BLOB_SERVER", "BLOB_TOKEN"]
        let empty = try await blob.run(["login", "--list"], without: none)
        #expect(empty.end == .code(0) && empty.output == "" && empty.errors.contains("No server is stored"), "\(empty)")
        for name in ["first", "second"] {
            let login = try await blob.shell("echo $BLOB_TOKEN | $blob login \(name) --server $BLOB_SERVER")
            #expect(login.end == .code(0), "\(login)")
        }
        let changed = try await blob.run(["login", "--default", "second"], without: none)
        #expect(changed.end == .code(0) && changed.errors == "'second' is the default.\n", "\(changed)")
        let list = try await blob.run(["login", "--list"], without: none)
        let rows = list.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let address = blob.server.address
        #expect(
            rows == [["first", address, "with", "a", "token"], ["*", "second", address, "with", "a", "token"]],
            "\(list)")
        #expect(!list.output.contains(blob.token))
        #expect(try await blob.run(["list"], without: none).end == .code(0))
        let unknown = try await blob.run(["login", "--default", "third"], without: none)
        #expect(unknown.end == .code(2) && unknown.errors.contains("'third'"), "\(unknown)")
        #expect(try await blob.run(["login", "--list", "first"], without: none).end == .code(2))
    }

    @Test("a shell completes the names of servers, and the ids and files of unfinished uploads")
    func completions() async throws {
        try await withServer { server in
            let blob = try await BlobTool(server)
            let login = try await blob.shell("echo $BLOB_TOKEN | $blob login files-server")
            #expect(login.end == .code(0), "\(login)")
            let path = try blob.writeSparse("large.bin", byteCount: 256 << 20)
            let child = try blob.start(["upload", path])
            try await eventually("the journal knows the upload") { blob.journal().first { $0.contains(#""upload""#) } }
            child.signal(SIGKILL)
            _ = try await child.waitForEnd()
            let status = try await blob.run(["status", "--json"])
            let upload = try #require(try status.jsonLines().first?["upload"]?.string)
            let cases = [
                ("list --server f", "files-server"), ("logout ", "files-server"), ("cancel ", upload),
                ("resume l", "large.bin"),
            ]
            for (words, offered) in cases {
                let completed = try await blob.complete(words)
                #expect(completed.output.split(separator: "\n").map(String.init) == [offered], "\(words): \(completed)")
            }
        }
    }

    @Test("a token that leaves this machine in clear is warned of, once, wherever it comes from and whatever is done")
    func openWay() async throws {
        let blob = try await BlobTool.shared()
        _ = try blob.home.write([1], to: "file")
        _ = try blob.home.write([1], to: "other")
        _ = try blob.home.write(Array(blob.token.utf8), to: "token")
        let digest = String(repeating: "a", count: 64)
        let upload = "00000000-0000-4000-8000-000000000000"
        let commands = [
            "list", "find '*'", "info \(digest)", "delete NzAwNTUxOTA5NzczMTQ4MTYw", "status \(upload)",
            "cancel \(upload)",
            "upload --retries 0 file other", "download --retries 0 \(digest) name", "login there",
        ]
        // No host has this name (RFC 6761, section 6.4).
        let warning =
            "blob: warning: without https, the token can be read by everybody on the way to http://files.invalid\n"
        for command in commands {
            let outcome = try await blob.shell(
                "chmod 600 token; $blob \(command) --server http://files.invalid --token-file token")
            #expect(outcome.end == .code(1) && outcome.errors.hasPrefix(warning), "\(command): \(outcome)")
            #expect(outcome.errors.components(separatedBy: "without https").count == 2, "\(command): \(outcome)")
        }
        let variable = try await blob.shell("BLOB_SERVER=http://files.invalid $blob list")
        #expect(variable.errors.hasPrefix(warning), "\(variable)")
        let servers = #"{"servers":{"there":{"address":"http://files.invalid","token":"t"}},"default":"there"}"#
        #expect(
            try await blob.shell("umask 077; mkdir -p config/blob && echo '\(servers)' >config/blob/servers.json").end
                == .code(0))
        let stored = try await blob.run(["list"], without: ["BLOB_SERVER", "BLOB_TOKEN"])
        #expect(stored.errors.hasPrefix(warning), "\(stored)")
        for quiet in [
            "$blob list --server https://files.invalid", "$blob list",
            "env -u BLOB_TOKEN $blob list --server http://no.invalid",
        ] {
            #expect(try await !blob.shell(quiet).errors.contains("without https"), "\(quiet)")
        }
    }

    @Test("a token that may not list files can be stored too")
    func uploadOnly() async throws {
        let blob = try await BlobTool(.shared, scopes: "upload")
        let login = try await blob.shell("echo $BLOB_TOKEN | $blob login")
        #expect(login.end == .code(0) && login.errors.contains("may not list"), "\(login)")
    }

    @Test("errors tell the server's answer and what to do")
    func errors() async throws {
        let blob = try await BlobTool.shared()
        _ = try blob.home.write(Array("wrong".utf8), to: "token")
        _ = try blob.home.write([1], to: "file")
        for arguments in [["list"], ["upload", "file"]] {
            let outcome = try await blob.run(arguments + ["--token-file", "token"])
            #expect(outcome.end == .code(1), "\(outcome)")
            #expect(outcome.errors.contains("401 UNAUTHORIZED") && outcome.errors.contains("blob login"), "\(outcome)")
        }
    }

    @Test("the token is not among the arguments, in the output or in the journal of a running upload")
    func secrecy() async throws {
        let blob = try await BlobTool.shared()
        // It waits for the rest of its input; the token is known to it by now.
        let child = try ChildProcess(
            ["bash", "-c", "(echo begin; sleep 60) | \(BlobTool.executable) upload - --json"], in: blob.home.path,
            environment: ["BLOB_SERVER": blob.server.address, "BLOB_TOKEN": blob.token, "HOME": blob.home.path])
        defer { child.signal(SIGKILL) }
        _ = try await child.output.line { $0.contains("began") }
        let processes = try await ChildProcess.run(["ps", "-eo", "args"], in: blob.home.path)
        #expect(processes.output.contains("blob upload -") && !processes.output.contains(blob.token))
        #expect(!child.output.soFar.contains(blob.token) && !child.errors.soFar.contains(blob.token))
    }

    @Test("a certificate is believed when --ca names it, or with --insecure, which warns")
    func certificates() async throws {
        try await withServer(["--tls-self-signed"]) { server in
            let blob = try await BlobTool(server)
            let refused = try await blob.run(["list"])
            #expect(refused.end == .code(1) && refused.errors.contains("--ca FILE"), "\(refused)")
            let certificate = try #require(
                try server.files().first { $0.path.hasSuffix(".pem") && !$0.path.contains("key") })
            let trusted = try await blob.run(["list", "--ca", certificate.path])
            #expect(trusted.end == .code(0) && trusted.errors == "", "\(trusted)")
            let insecure = try await blob.run(["list", "--insecure"])
            #expect(insecure.end == .code(0) && insecure.errors.contains("WARNING"), "\(insecure)")
            // The certificates stored with the server count without the flag.
            let login = try await blob.shell("echo $BLOB_TOKEN | $blob login tls --ca '\(certificate.path)'")
            #expect(login.end == .code(0), "\(login)")
            let stored = try await blob.run(["list"], without: ["BLOB_SERVER", "BLOB_TOKEN"])
            #expect(stored.end == .code(0) && stored.errors == "", "\(stored)")
        }
    }

    @Test("files are listed page by page, looked at and deleted")
    func files() async throws {
        let blob = try await BlobTool.shared()
        try FileManager.default.createDirectory(atPath: blob.home.path + "/in", withIntermediateDirectories: true)
        for number in 100..<225 { _ = try blob.home.write(Array("\(number)".utf8), to: "in/file-\(number)") }
        let sent = try await blob.run(["upload", "-r", "in", "--jobs", "16", "--quiet"])
        #expect(sent.end == .code(0) && sent.firstWords.count == 125, "\(sent)")

        let all = try await blob.run(["list", "--order", "name"])
        let names = all.output.split(separator: "\n").map { $0.split(separator: " ").last.map(String.init) ?? "" }
        #expect(names == (100..<225).map { "file-\($0)" })
        let some = try await blob.run(["list", "--search", "file-2", "--order", "name", "--descending", "--limit", "2"])
        #expect(some.output.contains("file-224") && some.output.contains("file-223"))
        #expect(some.firstWords.count == 2)

        let id = some.firstWords[0]
        let info = try await blob.run(["info", id])
        #expect(info.end == .code(0) && info.output.contains("file-224") && info.output.contains("3 bytes"), "\(info)")
        let deleted = try await blob.run(["delete", id, id])
        #expect(deleted.end == .code(1) && deleted.output == "deleted \(id)\n", "\(deleted)")
        #expect(deleted.errors.contains("404 FILE_UNKNOWN"))
        #expect(try await blob.run(["list", "--json"]).firstWords.count == 124)
    }
}
