// Issue 2, `blobd`: every setting by flag, environment and file, in that order; the defaults; who may listen in clear.

import Foundation
import Testing

@Suite("Settings", .inTurn)
struct SettingsTests {
    /// The lines of `blobd config`, by their key.
    private func config(
        _ flags: [String] = [], environment: [String: String] = [:], in folder: TemporaryFolder
    ) async throws -> [String: String] {
        let outcome = try await ChildProcess.run(
            [ServerProcess.executable, "config"] + flags, in: folder.path, environment: environment)
        guard outcome.end == .code(0) else { throw Failure("\(outcome)") }
        let lines = outcome.output.split(separator: "\n").map(String.init)
        let keyed = lines.compactMap { line in line.split(separator: " ").first.map { (String($0), line) } }
        return Dictionary(keyed) { first, _ in first }
    }

    @Test(
        "the defaults",
        arguments: [
            ("listen", "127.0.0.1:8887"), ("data", "./data"), ("upload-expiry", "7d"), ("temporary-expiry", "30d"),
            ("private-downloads", "false"), ("cross-origin-resource-policy", "auto"), ("header-timeout", "10s"),
            ("body-timeout", "30s"), ("send-timeout", "60s"), ("idle-timeout", "60s"),
        ])
    func defaults(_ key: String, _ value: String) async throws {
        let line = try await config(in: TemporaryFolder())[key] ?? ""
        #expect(line.contains(value) && line.contains("default"), "\(line)")
    }

    @Test("blobd config prints where each came from: flag, then environment, then file")
    func origins() async throws {
        let folder = try TemporaryFolder()
        let text = "max-blob-size: 1KiB\nquota: 2KiB\nmax-open-uploads: 3\n"
        let file = try folder.write(Array(text.utf8), to: "blobd.yaml")
        let settings = try await config(
            ["--config", file, "--max-blob-size", "6KiB"],
            environment: ["BLOBD_MAX_BLOB_SIZE": "4KiB", "BLOBD_QUOTA": "5KiB"], in: folder)
        #expect(settings["max-blob-size"]?.contains("6KiB") == true)
        #expect(settings["max-blob-size"]?.contains("flag") == true)
        #expect(settings["quota"]?.contains("5KiB") == true)
        #expect(settings["quota"]?.contains("BLOBD_QUOTA") == true)
        #expect(settings["max-open-uploads"]?.contains("3") == true)
        #expect(settings["max-open-uploads"]?.contains(file) == true)
    }

    @Test("they have effect from wherever they come")
    func effect() async throws {
        let tooMuch = try Sample.bytes(1025)
        try await withServer(environment: ["BLOBD_MAX_BLOB_SIZE": "1KiB"]) { server in
            let client = try server.admin()
            expect(try await client.send(.complete(client.initiate(), .bytes(tooMuch))), is: .tooLarge)
        }
        try await withServer(["--max-blob-size", "2KiB"], environment: ["BLOBD_MAX_BLOB_SIZE": "1KiB"]) { server in
            let published = try await server.admin().publish(tooMuch)
            #expect(published.digest == Sample.digest(of: tooMuch))
        }
        let folder = try TemporaryFolder()
        let file = try folder.write(Array("{\"max-blob-size\": \"1KiB\"}".utf8), to: "blobd.json")
        try await withServer(["--config", file]) { server in
            let client = try server.admin()
            expect(try await client.send(.complete(client.initiate(), .bytes(tooMuch))), is: .tooLarge)
        }
    }

    @Test(
        "a plaintext listener that others can reach needs --allow-plaintext; one with TLS does not",
        arguments: ["--allow-plaintext", "--tls-self-signed"])
    func nonLoopback(_ flag: String) async throws {
        try await withServer(["--listen", "0.0.0.0:0", flag]) { server in
            #expect(server.address.hasPrefix(flag == "--allow-plaintext" ? "http://" : "https://"))
            let answer = try await Curl.run(
                ["-k", "\(server.address.replacing("0.0.0.0", with: "127.0.0.1"))/health"], in: server.folder)
            #expect(answer.response.status == 200)
        }
    }
}
