// What the programs find is believed only where nobody else can change it: docs/security.md, decision 46.

import Foundation
import Glibc
import Testing

@Suite("Files that others could have changed", .inTurn)
struct TrustTests {
    /// Something that others could have changed, how it came to that, and a part of the message's advice.
    private struct Fault {
        let part: String
        let change: String
        let advice: String

        init(_ part: String, _ change: String, _ advice: String) {
            (self.part, self.change, self.advice) = (part, change, advice)
        }

        /// - Parameter data: the directory.
        func command(in data: String) -> String {
            let path = part.isEmpty ? data : data + "/" + part
            switch change {
            case "link": return "mv \(path) \(data)-elsewhere && ln -s \"$PWD/\(data)-elsewhere\" \(path)"
            case "group": return "chgrp 54321 \(path) && chmod g+w \(path)"
            default: return "\(change) \(path)"
            }
        }
    }

    private static let faults: [Fault] =
        ["", "blobs", "blobs/a7", "uploads", "quarantine", "tls", "lock", "catalog.sqlite", "tls/certificate.pem"].map {
            Fault($0, "chmod o+w", "chmod go-w")
        }
        + ["blobs", "uploads", "quarantine", "tls", "lock", "catalog.sqlite", "admin-token", "tls/key.pem"].map {
            Fault($0, "link", "is a symbolic link")
        }
        + ["admin-token", "tls/key.pem"].map { Fault($0, "chmod o+r", "chmod g-w,o=") }

    /// Only root can give files away.
    private static let faultsOfOwners = [
        Fault("uploads", "group", "chmod go-w"), Fault("", "chown 54321", "chown \(geteuid())"),
        Fault("admin-token", "chown 54321", "chown \(geteuid())"),
    ]

    @Test("in a data directory: a start, its check and the commands refuse them, and say what puts it right")
    func dataDirectory() async throws {
        let server = try ServerProcess()
        try await server.start(["--tls-self-signed"])
        _ = try await server.stop()
        let serving = ["--listen", "127.0.0.1:0", "--tls-self-signed"]
        for (number, fault) in (Self.faults + (geteuid() == 0 ? Self.faultsOfOwners : [])).enumerated() {
            let data = "copy\(number)"
            let command = "cp -a data \(data) && " + fault.command(in: data)
            #expect(try await ChildProcess.run(["bash", "-c", command], in: server.folder.path).end == .code(0))
            let commands = [(["serve"], serving, 1), (["config", "--check"], serving, 1), (["check"], [], 2)]
            for (words, more, code) in commands.prefix(fault.part == "uploads" ? 3 : 1) {
                let outcome = try await ChildProcess.run(
                    [ServerProcess.executable] + words + ["--data", data] + more, in: server.folder.path)
                #expect(outcome.end == .code(Int32(code)), "\(command): \(words): \(outcome)")
                #expect(outcome.errors.contains(fault.advice), "\(command): \(words): \(outcome)")
                #expect(outcome.errors.contains(data), "\(command): \(words): \(outcome)")
            }
        }
    }

    @Test("a group of the server's own is no other, and the directory itself may be reached by a link")
    func fine() async throws {
        let server = try ServerProcess()
        try await server.start()
        _ = try await server.stop()
        let command = "chgrp -R \(getegid()) data && chmod -R g+w data && mv data kept && ln -s kept data"
        #expect(try await ChildProcess.run(["bash", "-c", command], in: server.folder.path).end == .code(0))
        try await server.start()
        #expect(try await server.stop() == .code(0))
    }

    @Test("files that settings name", arguments: ["tls-certificate", "tls-key", "config"])
    func namedFiles(_ setting: String) async throws {
        try await withServer(["--tls-self-signed"]) { server in
            _ = try server.folder.write(Array("quota: 1GB\n".utf8), to: "config.yaml")
            let paths = [
                "tls-certificate": "data/tls/certificate.pem", "tls-key": "data/tls/key.pem", "config": "config.yaml",
            ]
            let path = try #require(paths[setting])
            let flags = paths.flatMap { ["--\($0)", $1] } + ["--data", "other", "--listen", "127.0.0.1:0"]
            for mode in [setting == "tls-key" ? "o+r" : "o+w", "o+w"] {
                let change = try await ChildProcess.run(["chmod", mode, path], in: server.folder.path)
                #expect(change.end == .code(0))
                for words in [["serve"], ["config", "--check"]] {
                    let outcome = try await ChildProcess.run(
                        [ServerProcess.executable] + words + flags, in: server.folder.path)
                    #expect(outcome.end == .code(setting == "config" ? 64 : 1), "\(words): \(outcome)")
                    for part in [setting, path, "chmod"] {
                        #expect(outcome.errors.contains(part), "\(part) in \(words): \(outcome)")
                    }
                }
            }
        }
    }

    @Test("what 'blob login' stored is refused; a token's file is named in a warning")
    func client() async throws {
        let blob = try await BlobTool.shared()
        let none = ["BLOB_SERVER", "BLOB_TOKEN"]
        _ = try blob.home.write(Array(blob.token.utf8), to: "token")
        let login = try await blob.shell("$blob login here --server \(blob.server.address) <token", without: none)
        #expect(login.end == .code(0), "\(login)")
        let open = try await blob.shell("chmod o+r config/blob/servers.json; $blob list", without: none)
        #expect(open.end == .code(2), "\(open)")
        #expect(open.errors.contains("servers.json") && open.errors.contains("chmod go="), "\(open)")
        let closed = try await blob.shell("chmod o-r config/blob/servers.json; $blob list", without: none)
        #expect(closed.end == .code(0) && closed.errors == "", "\(closed)")

        let warned = try await blob.shell("chmod o+r token; $blob list --token-file token", without: ["BLOB_TOKEN"])
        #expect(warned.end == .code(0) && warned.errors.contains("chmod"), "\(warned)")
        let pipe = try await blob.shell("$blob list --token-file <(cat token)", without: ["BLOB_TOKEN"])
        #expect(pipe.end == .code(0) && pipe.errors == "", "\(pipe)")
    }
}
