// Where settings come from, which one counts, and the errors for wrong ones.

import Foundation
import Glibc
import Logging
import OIDC
import Testing

@testable import blobd

struct SettingsTests {
    /// A configuration file of a test's own.
    private func withFile<Value>(_ text: String, _ body: (String) async throws -> Value) async throws -> Value {
        try await withTemporaryDirectory { directory in
            let path = directory + "/blobd.yaml"
            try Data(text.utf8).write(to: URL(filePath: path))
            return try await body(path)
        }
    }

    private func problems(
        flags: [Setting: String] = [:], environment: [String: String] = [:]
    ) async -> [String] {
        do {
            _ = try Settings(try EffectiveSettings(flags: flags, environment: environment))
            return []
        } catch {
            return error.problems
        }
    }

    @Test func defaults() async throws {
        let settings = try Settings(try EffectiveSettings(flags: [:], environment: ["PATH": "/bin"]))
        #expect(settings.data == "./data")
        #expect(settings.listen == ListenAddress(host: "127.0.0.1", port: 8887))
        #expect(settings.transport == .plaintext)
        #expect(settings.maxBlobSize == 1 << 40)
        #expect(settings.maxOpenUploads == 1000)
        #expect(settings.quota == nil)
        #expect(settings.minFreeSpace == 1 << 30)
        #expect(settings.diskReserve == 8 << 20)
        #expect(settings.uploadExpiry == .seconds(7 * 86_400))
        #expect(settings.temporaryExpiry == .seconds(30 * 86_400))
        #expect(settings.reclaimInterval == .seconds(300))
        #expect(settings.reclaimGrace == .seconds(3600))
        #expect(settings.scrubInterval == .seconds(7 * 86_400))
        #expect(settings.scrubRate == 16 << 20)
        #expect(!settings.privateDownloads)
        #expect(settings.crossOriginResourcePolicy == .sameSite)
        #expect(settings.logLevel == .info)
        #expect(settings.logFormat == .text)
        #expect(settings.shutdownTimeout == .seconds(30))
        #expect(settings.maxConnections == nil)
        #expect(settings.maxConnectionsPerAddress == nil)
        #expect(settings.trustedProxies.isEmpty && !settings.readsProxyHeaders)
        #expect(settings.headerTimeout == .seconds(10))
        #expect(settings.bodyTimeout == .seconds(30))
        #expect(settings.idleTimeout == .seconds(60))
    }

    @Test func flagBeforeEnvironmentBeforeFileBeforeDefault() async throws {
        try await withFile("quota: 1KiB\nlog-level: error\nmax-open-uploads: 5\n") { path in
            let effective = try EffectiveSettings(
                flags: [.config: path, .quota: "3KiB"],
                environment: ["BLOBD_QUOTA": "2KiB", "BLOBD_LOG_LEVEL": "debug"]
            )
            let settings = try Settings(effective)
            #expect(settings.quota == 3072)
            #expect(settings.logLevel == .debug)
            #expect(settings.maxOpenUploads == 5)
            #expect(settings.maxBlobSize == 1 << 40)
            #expect(effective[.quota]?.origin == .flag)
            #expect(effective[.logLevel]?.origin == .environment("BLOBD_LOG_LEVEL"))
            #expect(effective[.maxOpenUploads]?.origin == .file(path))
            #expect(effective[.maxBlobSize]?.origin == .standard)
            #expect(effective[.tlsKey] == nil)
        }
    }

    @Test func fileNamedByTheEnvironment() async throws {
        try await withFile("# remarks\nprivate-downloads: true\n") { path in
            let effective = try EffectiveSettings(flags: [:], environment: ["BLOBD_CONFIG": path])
            #expect(try Settings(effective).privateDownloads)
        }
    }

    @Test(arguments: ["", "\n\n", "# nothing yet\n  # or here\n"])
    func fileWithoutSettings(text: String) async throws {
        try await withFile(text) { path in
            #expect(await problems(flags: [.config: path]) == [])
        }
    }

    @Test(
        "whatever is wrong with a file, its lines are not told: they hold secrets",
        arguments: [
            "database: \"postgresql://u:CANARY@h/db\nlisten: x\n", "database: postgresql://u:CANARY@h/db: {\n",
            #"{"database": "postgresql://u:CANARY@h/db", "s3-secret-key" "CANARY"}"#, "s3-secret-key: *CANARY\n",
            "s3-secret-key: %CANARY\n", "s3-secret-key: @CANARY\n", "s3-secret-key: 'CANARY\n",
            "s3-secret-key: \"\\qCANARY\"\n", "s3-secret-key: CANARY\ns3-secret-key: CANARY\n",
            "s3-secret-key:\tCANARY\n\tx: CANARY\n", "s3-secret-key=CANARY\n", "- s3-secret-key: CANARY\n",
            "s3-secret-key: [CANARY]\n", "s3-secret-key: {a: CANARY}\n", "s3-secret-key: CANARY\u{1}\n",
            "s3-endpoint: http://u:CANARY@s3.example.com\n", "s3-endpoint: http://u:CAN?CANARY@h\n",
        ])
    func secretsOfFiles(text: String) async throws {
        try await withFile(text) { path in
            let problems = await problems(flags: [.config: path])
            #expect(!problems.isEmpty && !problems.contains { $0.contains("CANARY") }, "\(problems)")
        }
    }

    @Test func fileInJSON() async throws {
        try await withFile(#"{"max-open-uploads": 7, "listen": "[::1]:0", "tls-self-signed": true}"#) { path in
            let settings = try Settings(try EffectiveSettings(flags: [.config: path], environment: [:]))
            #expect(settings.maxOpenUploads == 7)
            #expect(settings.listen.host == "::1")
            #expect(settings.transport == .selfSigned)
        }
    }

    @Test func everySettingByEachWay() async throws {
        let samples: [Setting: String] = [
            .data: "/srv/blobs", .listen: "localhost:0", .publicURL: "https://a/b", .allowPlaintext: "true",
            .tlsSelfSigned: "false",
            .tlsCertificate: "c.pem", .tlsKey: "k.pem", .maxBlobSize: "1", .maxOpenUploads: "1", .quota: "1GB",
            .minFreeSpace: "0", .diskReserve: "0", .uploadExpiry: "1s", .temporaryExpiry: "1s", .reclaimInterval: "1s",
            .reclaimGrace: "0s", .scrubInterval: "0s", .scrubRate: "1MiB", .privateDownloads: "true",
            .corsOrigins: "*", .crossOriginResourcePolicy: "cross-origin",
            .logLevel: "trace", .logFormat: "json", .auditLog: "-", .shutdownTimeout: "0s", .headerTimeout: "1ms",
            .maxConnections: "100", .maxConnectionsPerAddress: "10",
            .trustedProxies: "10.0.0.0/8, fd00::/8", .proxyProtocol: "true",
            .rateLimit: "100/s", .rateLimitPerAddress: "600/m",
            .bodyTimeout: "1ms", .sendTimeout: "1ms", .idleTimeout: "1ms",
            .storage: "cloud", .database: "postgresql://db/blobd", .databaseConnections: "1",
            .databasePreparedStatements: "false", .s3Endpoint: "https://s3.example.com", .s3Region: "eu-central-1",
            .s3Bucket: "blobs", .s3Addressing: "virtual-host", .s3AccessKey: "AKIA/+=", .s3SecretKey: "s/+=",
            .s3SessionToken: "t", .s3CertificateAuthority: "ca.pem", .restoreWindow: "0s", .redirectDownloads: "true",
            .readOnly: "true", .jwtIssuer: "https://login.example.com/a", .jwtAudience: "blobd",
            .jwtKeys: "https://login.example.com/keys?a=b", .jwtAlgorithms: "EdDSA", .jwtScopeClaim: "cognito:groups",
            .jwtScopes: "a=read",
        ]
        #expect(Set(samples.keys) == Set(Setting.allCases).subtracting([.config]))
        let lines = samples.map { "\($0.rawValue): '\($1)'" }.joined(separator: "\n")
        try await withFile(lines) { path in
            let environment = samples.map { ($0.environmentName, $1) }
            for effective in [
                try EffectiveSettings(flags: samples, environment: [:]),
                try EffectiveSettings(
                    flags: [:], environment: Dictionary(uniqueKeysWithValues: environment)
                ),
                try EffectiveSettings(flags: [.config: path], environment: [:]),
            ] {
                for (setting, text) in samples { #expect(effective[setting]?.text == text) }
                #expect(try Settings(effective).transport == .tls(certificate: "c.pem", key: "k.pem"))
            }
        }
    }

    private static let cloud: [Setting: String] = [
        .storage: "cloud", .database: "postgresql://db/blobd", .s3Bucket: "blobs", .s3AccessKey: "id",
        .s3SecretKey: "s",
    ]

    @Test(arguments: [Setting.database, .s3Bucket, .s3AccessKey, .s3SecretKey])
    func cloudNeeds(setting: Setting) async throws {
        #expect(await problems(flags: Self.cloud) == [])
        let found = await problems(flags: Self.cloud.filter { $0.key != setting })
        #expect(found == ["\(setting.rawValue): the storage 'cloud' needs it: \(setting.row.summary)"])
    }

    @Test func forgottenCloudIsNoticed() async throws {
        // Some of them have defaults.
        let settings = Self.cloud.merging([.s3Region: "eu-central-1", .restoreWindow: "7d"]) { $1 }
        let found = await problems(flags: settings.filter { $0.key != .storage })
        #expect(found.count == 6)
        #expect(
            found.contains(
                "s3-bucket: 'blobs' from the flag --s3-bucket is for the storage 'cloud': say so with storage, or leave it out"
            )
        )
        #expect(!found.contains { $0.contains("postgresql") })
    }

    @Test(arguments: [
        ("http://10.0.0.7:9000", true), ("https://s3.example.com/", true), ("http://[::1]:9000", true),
        ("s3.example.com", false), ("ftp://s3.example.com", false), ("https://s3.example.com/bucket", false),
        ("https://user@s3.example.com", false), ("https://s3.example.com?x", false), ("https://", false),
    ])
    func serviceURL(text: String, isGood: Bool) {
        #expect((ServiceURL(settingText: text) != nil) == isGood)
    }

    @Test(arguments: [
        (
            [Setting.quota: "much"],
            "quota: 'much' from the flag --quota must be none, or a size below 8192PiB, such as 4096, 64KiB, 4MiB or 10GB"
        ),
        (
            [.maxOpenUploads: "0"],
            "max-open-uploads: '0' from the flag --max-open-uploads must be a whole number in digits, such as 1000, "
                + "and at least 1"
        ),
        (
            [.idleTimeout: "0s"],
            "idle-timeout: '0s' from the flag --idle-timeout must be a duration of at most 36500d, such as 500ms, 1s, "
                + "5m, 12h or 7d, and at least 1ms"
        ),
        (
            [.listen: "8887"],
            "listen: '8887' from the flag --listen must be HOST:PORT, such as 127.0.0.1:8887, [::1]:8887 or 0.0.0.0:8887"
        ),
        (
            [.maxConnections: "0"],
            "max-connections: '0' from the flag --max-connections must be auto, or a whole number in digits, such as "
                + "1000, and at least 1"
        ),
        (
            [.trustedProxies: "10.0.0.1/8"],
            "trusted-proxies: '10.0.0.1/8' from the flag --trusted-proxies must be \(NetworkList.form)"
        ),
        (
            [.proxyProtocol: "true"],
            "proxy-protocol: 'true' from the flag --proxy-protocol needs trusted-proxies, from which it is taken"
        ),
        ([.rateLimit: "0/s"], "rate-limit: '0/s' from the flag --rate-limit must be \(RateLimit.form)"),
        ([.rateLimit: "10"], "rate-limit: '10' from the flag --rate-limit must be \(RateLimit.form)"),
        ([.rateLimit: "10/ms"], "rate-limit: '10/ms' from the flag --rate-limit must be \(RateLimit.form)"),
        ([.logFormat: "xml"], "log-format: 'xml' from the flag --log-format must be one of text, json"),
        ([.data: ""], "data: '' from the flag --data must be a path"),
        (
            [.tlsCertificate: "a.pem"],
            "tls-certificate: 'a.pem' from the flag --tls-certificate needs tls-key, the path of its private key"
        ),
        (
            [.tlsKey: "a.pem"],
            "tls-key: 'a.pem' from the flag --tls-key needs tls-certificate, the path of its certificate"
        ),
        (
            [.tlsSelfSigned: "true", .tlsCertificate: "a", .tlsKey: "b"],
            "tls-self-signed: 'true' from the flag --tls-self-signed contradicts tls-certificate: 'a' from the flag "
                + "--tls-certificate: give one of them"
        ),
        (
            [.listen: "0.0.0.0:8887"],
            "listen: '0.0.0.0:8887' from the flag --listen is open to other machines, which would send tokens in clear: "
                + "give tls-certificate and tls-key, or tls-self-signed, or allow it with allow-plaintext"
        ),
        (
            [.jwtKeys: "k.json", .jwtScopes: "a=read"],
            "jwt-keys: 'k.json' from the flag --jwt-keys needs jwt-issuer, the issuer whose tokens are taken\n"
                + "jwt-scopes: 'a=read' from the flag --jwt-scopes needs jwt-issuer, the issuer whose tokens are taken"
        ),
        (
            [.jwtIssuer: "https://a", .jwtKeys: "k.json"],
            "jwt-issuer: 'https://a' from the flag --jwt-issuer needs jwt-audience: "
                + "Name of this server that has to be in the `aud` of its tokens."
        ),
        (
            [.jwtAlgorithms: "ES256,HS256"],
            "jwt-algorithms: 'ES256,HS256' from the flag --jwt-algorithms must be some of ES256,ES384,RS256,PS256,EdDSA, "
                + "with commas between them"
        ),
        (
            [.jwtScopes: "files=write"],
            "jwt-scopes: 'files=write' from the flag --jwt-scopes must be pairs such as files.read=read,files.write=upload "
                + "with commas between them; scopes are upload, read, delete, admin"
        ),
    ])
    func wrongSettings(flags: [Setting: String], problem: String) async {
        #expect(await problems(flags: flags) == problem.split(separator: "\n").map(String.init))
    }

    @Test(arguments: [
        ("https://login.example.com", true), ("https://login.example.com:8443/realms/a/", true),
        ("http://127.0.0.1:8080/a", true), ("http://localhost", true), ("http://[::1]:1", true),
        ("http://login.example.com", false), ("http://127.0.0.1.example.com", false), ("http://10.0.0.1", false),
        ("https://login.example.com?a", false), ("https://login.example.com#a", false), ("https://", false),
        ("https://user@login.example.com", false), ("login.example.com", false), ("ftp://login.example.com", false),
        ("https://login.example.com/a b", false), ("https://login.exämple.com", false), ("", false),
    ])
    func issuers(text: String, isGood: Bool) {
        #expect((IssuerName(settingText: text) != nil) == isGood)
    }

    @Test(arguments: [
        ("keys.json", KeyPlace.file("keys.json")), ("/etc/blobd/keys", .file("/etc/blobd/keys")),
        ("https://a/keys?v=1", .page(url: "https://a/keys?v=1")),
        ("http://127.0.0.1:1/", .page(url: "http://127.0.0.1:1/")),
        ("http://a/keys", nil), ("file:///etc/keys", nil), ("ftp://a/", nil), ("", nil),
    ])
    func keyPlaces(text: String, place: KeyPlace?) {
        #expect(KeyPlace(settingText: text) == place)
    }

    @Test(arguments: [
        ("a=read", true), ("a=b=read,a=upload", true), ("https://x/y=read", true), ("", false), ("read", false),
        ("a=write", false), ("=read", false), ("a=read,", false), ("a b=read", false), ("a=Read", false),
        ("ä=read", false),
    ])
    func scopeMappings(text: String, isGood: Bool) {
        #expect((ScopeMapping(settingText: text) != nil) == isGood)
    }

    @Test func plaintextForOthersWhenAllowed() async throws {
        let flags: [Setting: String] = [.listen: "0.0.0.0:1", .allowPlaintext: "true"]
        #expect(await problems(flags: flags) == [])
        #expect(await problems(flags: [.listen: "0.0.0.0:1", .tlsSelfSigned: "true"]) == [])
    }

    @Test func wrongVariables() async {
        let environment = ["BLOBD_QUTOA": "1", "BLOBD_TEST_X": "1", "BLOBD_LOG_LEVEL": "loud", "BLOBDX": "1"]
        #expect(
            await problems(environment: environment) == [
                "BLOBD_QUTOA: no setting of this name (from the environment); did you mean BLOBD_QUOTA?",
                "BLOBD_TEST_X: no setting of this name (from the environment); 'blobd serve --help' lists all settings",
                "log-level: 'loud' from the environment variable BLOBD_LOG_LEVEL must be one of trace, debug, info, "
                    + "notice, warning, error, critical",
            ]
        )
    }

    /// The variables that Kubernetes gives to every container beside a service named `blobd`.
    @Test func serviceLinks() async {
        let environment = [
            "BLOBD_SERVICE_HOST": "10.0.0.1", "BLOBD_SERVICE_PORT_HTTP": "8887", "BLOBD_PORT": "tcp://10.0.0.1:8887",
            "BLOBD_PORT_8887_TCP_ADDR": "10.0.0.1",
        ]
        #expect(await problems(environment: environment) == [])
    }

    /// As a shell's `<(…)` gives it: a file that can be read once.
    @Test func fileThatCanBeReadOnce() async throws {
        var ends: [CInt] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let text = Array("quota: 5KiB\n".utf8)
        try #require(write(ends[1], text, text.count) == text.count)
        close(ends[1])
        defer { close(ends[0]) }
        let effective = try EffectiveSettings(flags: [.config: "/proc/self/fd/\(ends[0])"], environment: [:])
        #expect(try Settings(effective).quota == 5120)
    }

    @Test(arguments: [
        ("listn: 1", "listn: no setting of this name (from the file PATH); did you mean listen?"),
        (
            "tls:\n  key: a", "tls.key: no setting of this name (from the file PATH); did you mean tls-key?"
        ),
        (
            "x: 1", "x: no setting of this name (from the file PATH); 'blobd serve --help' lists all settings"
        ),
        ("config: b.yaml", "config: the file PATH cannot name another file; give --config once"),
        ("quota: [1, 2]", "quota: a list from the file PATH must be \(ByteLimit.form)"),
        ("quota: many", "quota: 'many' from the file PATH must be \(ByteLimit.form)"),
        ("private-downloads: yes", "private-downloads: 'yes' from the file PATH must be true or false"),
    ])
    func wrongFiles(text: String, problem: String) async throws {
        try await withFile(text) { path in
            #expect(
                await problems(flags: [.config: path]) == [problem.replacing("PATH", with: path)]
            )
        }
    }

    @Test(arguments: ["- a\n- b\n", "just text", "a: b: c", "quota: 1\nquota: 2\n", "{\"quota\": "])
    func filesThatHoldNoSettings(text: String) async throws {
        try await withFile(text) { path in
            let problems = await problems(flags: [.config: path])
            #expect(problems.count == 1)
            let start = "config: the file \(path) must hold settings in YAML or JSON, such as 'quota: 10GB': "
            #expect(problems.first?.hasPrefix(start) == true)
            #expect(problems.first?.contains("\n") == false)
        }
    }

    @Test func fileThatCannotBeRead() async throws {
        #expect(
            await problems(flags: [.config: "/nowhere/blobd.yaml"])
                == ["config: the file /nowhere/blobd.yaml cannot be read: No such file or directory"]
        )
        try await withTemporaryDirectory { directory in
            #expect(
                await problems(flags: [.config: directory])
                    == ["config: the file \(directory) cannot be read: Is a directory"]
            )
            let path = directory + "/latin"
            try Data([0x71, 0xE9, 0x0A]).write(to: URL(filePath: path))
            #expect(
                await problems(flags: [.config: path])
                    == ["config: the file \(path) cannot be read: it must be text in UTF-8"]
            )
        }
    }

    @Test func allProblemsAtOnce() async {
        let problems = await problems(
            flags: [.quota: "x", .config: "/nowhere"], environment: ["BLOBD_X": "", "BLOBD_DATA": ""]
        )
        #expect(problems.count == 4)
    }
}
