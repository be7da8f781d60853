// Issue 2, `blobd`: the admin token. Contract, common rules and uploads: secrets stay, and are not kept in clear.

import Foundation
import Testing

@Suite("Secrets", .inTurn)
struct SecretTests {
    @Test("the admin token is in a file of mode 0600; its path is told, the token never, nor is it in the log")
    func adminToken() async throws {
        try await withServer(["--log-level", "trace"]) { server in
            let client = try server.admin()
            let token = try #require(client.bearer)
            #expect(token.utf8.count >= 22, "128 bits in base64 at least")
            let attributes = try FileManager.default.attributesOfItem(atPath: server.data + "/admin-token")
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)

            #expect(try await client.send(.files()).status == 200)
            _ = try await Client(server: server, bearer: token + "x").send(.files())
            let child = try #require(server.child)
            #expect(try await server.stop() == .code(0))
            let output = try await child.output.whole()
            let errors = try await child.errors.whole()
            #expect(output.contains("admin-token") && output.contains("curl"), "\(output)")
            #expect(!output.contains(token) && !errors.contains(token))

            try await server.start()
            #expect(try server.adminToken() == token, "made once")
            let secondOutput = server.child?.output.soFar ?? ""
            #expect(!secondOutput.contains(token))
        }
    }
}

@Suite("Canaries", .inTurn)
struct CanaryTests {
    /// What must be found nowhere, and what was looked at.
    private struct Search {
        /// Of settings and of those who are let in.
        var secrets: [String] = []
        private(set) var places: [String: Data] = [:]

        mutating func look(at text: String, _ place: String) {
            places[place, default: Data()] += Data(text.utf8)
        }

        mutating func look(at answer: Response) {
            // To whom an upload belongs, its token is told there.
            let headers = answer.headers.fields.filter { $0.name.lowercased() != "portsip-upload-token" }
            look(at: headers.map { "\($0.name): \($0.value)\n" }.joined(), "answers")
            places["answers", default: Data()] += Data(answer.body)
        }

        mutating func look(atFilesIn folder: String) throws {
            let paths = FileManager.default.enumerator(atPath: folder)?.allObjects.compactMap { $0 as? String } ?? []
            // The one place where a token is kept to be read.
            for path in paths where !path.hasSuffix("admin-token") {
                // A file may go while others are read.
                guard let bytes = FileManager.default.contents(atPath: folder + "/" + path) else { continue }
                places[path, default: Data()] += bytes
            }
        }

        /// The forms in which a secret would be one still.
        private func forms(of secret: String) -> [Data] {
            let text = Data(secret.utf8)
            let code = secret.hasPrefix("blobd_") ? secret.dropFirst(6) : secret[...]
            let padded = code.replacing("-", with: "+").replacing("_", with: "/") + "="
            let hex = Data(text.map { String(format: "%02x", $0) }.joined().utf8)
            return [text, hex, Data(text.base64EncodedString().utf8)]
                + [Data(base64Encoded: String(padded))].compactMap { $0 }.filter { $0.count == 32 }
        }

        func expectNothing() {
            #expect(secrets.count > 5 && secrets.allSatisfy { $0.utf8.count >= 20 })
            for secret in secrets {
                for form in forms(of: secret) {
                    for (place, bytes) in places {
                        guard let found = bytes.range(of: form) else { continue }
                        let around = bytes[max(0, found.lowerBound - 80)..<found.lowerBound]
                        Issue.record("\(secret) in \(place), after: \(String(decoding: around, as: UTF8.self))")
                    }
                }
            }
        }
    }

    private static func canary() -> String { "canary" + UUID().uuidString.replacing("-", with: "").lowercased() }

    @Test(
        "a server at trace: whatever comes in, no log, record, answer, metric and no byte of the data holds a secret",
        arguments: ["text", "json"])
    func server(_ format: String) async throws {
        let cloud = CloudData.isChosen ? try await CloudData() : nil
        let server = try ServerProcess(on: cloud)
        let audit = server.folder.path + "/audit.log"
        try await server.start(["--log-level", "trace", "--log-format", format, "--audit-log", audit])
        var search = Search()
        search.secrets += ["BLOBD_S3_SECRET_KEY"].compactMap { cloud?.settings[$0] }.filter { $0.utf8.count >= 20 }

        let (client, revoked) = (try await server.client(), try await server.namedClient("gone", "read"))
        let control = Self.canary()
        let upload = try await client.upload(holding: Sample.bytes(100), filename: control)
        search.secrets += [try #require(client.bearer), try #require(revoked.bearer), upload.token]
        search.secrets.append(try server.adminToken())
        _ = try await server.command(["token", "revoke", "gone", "--data", server.data])
        let file = try await client.publish(Sample.bytes(10))

        for request in Self.requests(upload, file, &search.secrets, control) {
            search.look(at: try await client.send(request))
        }
        for bearer in [
            revoked.bearer, (client.bearer ?? "") + "x", Self.added(&search.secrets, "blobd_" + Self.canary()),
            Self.added(&search.secrets, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEifQ.\(Self.canary())"),
        ] {
            let stranger = Client(server: server, bearer: bearer)
            for request in [Request.files(), .initiate(), .status(of: upload), .get("/nope"), .append(to: upload, [1])]
            {
                search.look(at: try await stranger.send(request))
            }
        }
        for bytes in Self.malformed(&search.secrets) {
            let connection = try await server.connect()
            defer { connection.close() }
            try await connection.send(bytes)
            search.look(at: try await connection.receive())
        }
        if cloud == nil {
            let begun = try await client.initiate()
            try server.takeAway("uploads")
            search.look(at: try await client.send(.append(to: begun, [1])))
            try server.putBack("uploads")
            try search.look(atFilesIn: server.data)
        }
        search.look(at: try await server.admin().send(.get("/metrics")))
        for command in [
            ["token", "list"], ["token", "create", "gone again", "--scopes", "all"], ["check"], ["reclaim"],
        ] {
            let outcome = try await server.command(command + ["--data", server.data])
            search.look(at: outcome.output + outcome.errors, "\(command)")
        }
        _ = try await client.complete(upload)

        let child = try #require(server.child)
        #expect(try await server.stop() == .code(0))
        search.look(at: try await child.output.whole(), "standard output")
        search.look(at: try await child.errors.whole(), "standard error")
        search.look(at: try String(contentsOfFile: audit, encoding: .utf8), "the audit log")
        if let cloud { search.look(at: try await cloud.dump(), "data") }
        try search.look(atFilesIn: server.data)

        search.expectNothing()
        // That it would have been found.
        for place in ["standard error", "the audit log", cloud == nil ? "catalog.sqlite" : "data"] {
            let held = search.places[place]?.range(of: Data(control.utf8))
            #expect(held != nil, "\(place) was not looked at")
        }
    }

    private static func added(_ secrets: inout [String], _ secret: String) -> String {
        secrets.append(secret)
        return secret
    }

    /// Requests of somebody who is let in, with secrets where some belong, and where none do.
    private static func requests(
        _ upload: Upload, _ file: Published, _ secrets: inout [String], _ control: String
    ) -> [Request] {
        func secret() -> String { added(&secrets, canary()) }
        let wrong = Upload(id: upload.id, token: secret())
        var requests: [Request] = [
            .status(of: upload).with(["X-Request-ID": control]), .append(to: wrong, [1]), .complete(wrong),
            .append(to: upload, [1]), .append(to: upload, [1], ["Upload-Offset": secret()]),
            .append(to: upload, [1], ["Content-Range": secret(), "Content-Type": secret()]),
            .complete(upload, digest: secret()),
            Request(method: "POST", target: "/api/blobs/uploads?temporary=\(secret())&access_token=\(secret())"),
            .get("/api/blobs/\(file.digest)?X-Amz-Signature=\(secret())&X-Amz-Credential=\(secret())"),
            .get("/api/blobs/\(String(repeating: "0", count: 64))?X-Amz-Signature=\(secret())"),
            .get("/api/blobs/uploads?token=\(secret())"), .get("/nope?token=\(secret())"),
            .files("top=\(secret())"), .files("after=\(secret())"), .files("orderby=\(secret())"),
        ]
        for name in ["Cookie", "Proxy-Authorization", "If-Match", "Range", "X-Api-Key"] {
            requests.append(.download(file.digest, [name: secret()]))
        }
        for value in ["Basic \(secret())", secret(), "Bearer \(secret()) \(secret())", "Digest username=\(secret())"] {
            requests.append(.files().with(["Authorization": value]))
        }
        return requests
    }

    /// Bytes that the server takes for no request, or for one that is odd.
    private static func malformed(_ secrets: inout [String]) -> [String] {
        func secret() -> String { added(&secrets, canary()) }
        let host = "Host: 127.0.0.1\r\n"
        return [
            "GET /nope?token=\(secret()) HTTP/9.9\r\n\(host)\r\n", "GET /nope \(secret()) HTTP/1.1\r\n\(host)\r\n",
            "GET /nope HTTP/1.1\r\n\(host)Authorization Bearer \(secret())\r\n\r\n",
            "GET /nope HTTP/1.1\r\n\(host)Authorization : Bearer \(secret())\r\n\r\n",
            "GET http://u:\(secret())@127.0.0.1/nope HTTP/1.1\r\n\(host)\r\n",
            "GET /nope HTTP/1.1\r\nHost: u:\(secret())@127.0.0.1\r\n\r\n",
            "POST /nope HTTP/1.1\r\n\(host)Content-Length: \(secret())\r\n\r\n",
            "POST /nope HTTP/1.1\r\n\(host)Transfer-Encoding: \(secret())\r\n\r\n",
            "GET /nope HTTP/1.1\r\n\(host)Cookie: \(secret())\(String(repeating: "a", count: 20_000))\r\n\r\n",
            "\(secret())\r\n\r\n",
        ]
    }

    @Test(
        "commands that fail tell no secret of their settings",
        arguments: [
            ["config"], ["config", "--check"], ["serve"], ["token", "list"], ["token", "create", "a"], ["check"],
            ["reclaim"],
        ])
    func commands(_ command: [String]) async throws {
        let folder = try TemporaryFolder()
        let (password, secretKey, session) = (Self.canary(), Self.canary(), Self.canary())
        for (database, endpoint) in [
            ("postgresql://u:\(password)@127.0.0.1:1/d", "http://127.0.0.1:1"),
            ("postgresql://127.0.0.1:1/d?user=u&password=\(password)", "http://u:\(secretKey)@127.0.0.1:1"),
            ("postgresql://u:a@\(password)@127.0.0.1:x/d", "http://127.0.0.1:1"),
        ] {
            let environment = [
                "BLOBD_STORAGE": "cloud", "BLOBD_DATABASE": database, "BLOBD_S3_ENDPOINT": endpoint,
                "BLOBD_S3_BUCKET": "blobs", "BLOBD_S3_ACCESS_KEY": "id", "BLOBD_S3_SECRET_KEY": secretKey,
                "BLOBD_S3_SESSION_TOKEN": session, "BLOBD_LISTEN": "127.0.0.1:0", "BLOBD_LOG_LEVEL": "trace",
            ]
            let outcome = try await ChildProcess.run(
                [ServerProcess.executable] + command, in: folder.path, environment: environment)
            for secret in [password, secretKey, session] {
                #expect(!(outcome.output + outcome.errors).contains(secret), "\(outcome)")
            }
        }
    }
}
