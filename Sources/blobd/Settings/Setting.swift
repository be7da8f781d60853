// The table of settings: the one source of their names, flags, environment names, defaults, help texts and limits.

import BlobHTTP
import Logging
import OIDC

/// A setting, named by its key: `max-blob-size` is the key of the file, the flag `--max-blob-size` and the environment
/// variable `BLOBD_MAX_BLOB_SIZE`.
enum Setting: String, CaseIterable, Sendable {
    case data
    case storage
    case database
    case databaseConnections = "database-connections"
    case databasePreparedStatements = "database-prepared-statements"
    case s3Endpoint = "s3-endpoint"
    case s3Region = "s3-region"
    case s3Bucket = "s3-bucket"
    case s3Addressing = "s3-addressing"
    case s3AccessKey = "s3-access-key"
    case s3SecretKey = "s3-secret-key"
    case s3SessionToken = "s3-session-token"
    case s3CertificateAuthority = "s3-certificate-authority"
    case restoreWindow = "restore-window"
    case redirectDownloads = "redirect-downloads"
    case readOnly = "read-only"
    case listen
    case publicURL = "public-url"
    case config
    case allowPlaintext = "allow-plaintext"
    case tlsCertificate = "tls-certificate"
    case tlsKey = "tls-key"
    case tlsSelfSigned = "tls-self-signed"
    case jwtIssuer = "jwt-issuer"
    case jwtAudience = "jwt-audience"
    case jwtKeys = "jwt-keys"
    case jwtAlgorithms = "jwt-algorithms"
    case jwtScopeClaim = "jwt-scope-claim"
    case jwtScopes = "jwt-scopes"
    case maxBlobSize = "max-blob-size"
    case maxOpenUploads = "max-open-uploads"
    case quota
    case minFreeSpace = "min-free-space"
    case diskReserve = "disk-reserve"
    case uploadExpiry = "upload-expiry"
    case temporaryExpiry = "temporary-expiry"
    case reclaimInterval = "reclaim-interval"
    case reclaimGrace = "reclaim-grace"
    case scrubInterval = "scrub-interval"
    case scrubRate = "scrub-rate"
    case privateDownloads = "private-downloads"
    case corsOrigins = "cors-origins"
    case crossOriginResourcePolicy = "cross-origin-resource-policy"
    case logLevel = "log-level"
    case logFormat = "log-format"
    case auditLog = "audit-log"
    case shutdownTimeout = "shutdown-timeout"
    case maxConnections = "max-connections"
    case maxConnectionsPerAddress = "max-connections-per-address"
    case trustedProxies = "trusted-proxies"
    case proxyProtocol = "proxy-protocol"
    case rateLimit = "rate-limit"
    case rateLimitPerAddress = "rate-limit-per-address"
    case headerTimeout = "header-timeout"
    case bodyTimeout = "body-timeout"
    case sendTimeout = "send-timeout"
    case idleTimeout = "idle-timeout"

    /// The table.
    var row: Row {
        switch self {
        case .data: Row(String.self, "./data", "Directory that holds everything the server keeps.")
        case .storage: Row(StorageKind.self, "local", "Where everything is kept: here, or in S3 and PostgreSQL.")
        case .database: Row(SecretText.self, nil, "URL of the PostgreSQL database, such as postgresql://HOST/NAME.")
        case .databaseConnections: Row(Int.self, "16", least: "1", "Connections to the database at one time.")
        case .databasePreparedStatements: Row(Bool.self, "true", "Prepare statements; not every pooler allows it.")
        case .s3Endpoint: Row(ServiceURL.self, nil, "URL of the S3 service; that of AWS in the region, if not given.")
        case .s3Region: Row(PlainName.self, "us-east-1", "Region of the bucket.")
        case .s3Bucket: Row(PlainName.self, nil, "Bucket for this server's objects alone.")
        case .s3Addressing: Row(S3AddressingChoice.self, "auto", "Bucket in the path or in the host's name.")
        case .s3AccessKey: Row(PlainName.self, nil, "Id of the key for the bucket.")
        case .s3SecretKey: Row(SecretText.self, nil, "Secret of the key for the bucket.")
        case .s3SessionToken: Row(SecretText.self, nil, "Session token, where the key is a temporary one.")
        case .s3CertificateAuthority: Row(String.self, nil, "Certificates in PEM to trust of the S3 service.")
        case .restoreWindow: Row(Duration.self, "7d", "How far back the database can be restored without loss.")
        case .redirectDownloads: Row(Bool.self, "false", "Send downloads to the S3 service where possible.")
        case .readOnly: Row(Bool.self, "false", "Serve what there is, and refuse every change for now.")
        case .listen: Row(ListenAddress.self, "127.0.0.1:8887", "Address to listen on; port 0 takes a free one.")
        case .publicURL:
            Row(PublicAddress.self, nil, "URL by which clients reach the server, where a proxy has another.")
        case .config: Row(String.self, nil, "File of settings, in YAML or JSON.")
        case .allowPlaintext: Row(Bool.self, "false", "Serve without TLS on an address that others can reach.")
        case .tlsCertificate: Row(String.self, nil, "Certificate chain in PEM; read again when it changes.")
        case .tlsKey: Row(String.self, nil, "Private key of the certificate in PEM.")
        case .tlsSelfSigned: Row(Bool.self, "false", "Make a certificate for trying out TLS.")
        case .jwtIssuer: Row(IssuerName.self, nil, "Issuer whose tokens are taken, too, as their `iss` names it.")
        case .jwtAudience: Row(ClaimText.self, nil, "Name of this server that has to be in the `aud` of its tokens.")
        case .jwtKeys: Row(KeyPlace.self, nil, "File or URL of the issuer's keys, a JSON Web Key Set.")
        case .jwtAlgorithms: Row(AlgorithmList.self, nil, "Algorithms by which the issuer may sign; all, if not given.")
        case .jwtScopeClaim: Row(ClaimText.self, nil, "Claim that grants; `scope`, else `scp`, if not given.")
        case .jwtScopes:
            Row(ScopeMapping.self, nil, "What that claim's words allow; `blobd:read=read` and so on, if not given.")
        case .maxBlobSize: Row(ByteCount.self, "1TiB", least: "1", "Largest blob that is taken.")
        case .maxOpenUploads: Row(Int.self, "1000", least: "1", "Open uploads that one subject may have.")
        case .quota: Row(ByteLimit.self, "none", "Bytes that one subject may take up.")
        case .minFreeSpace:
            Row(ByteCount.self, "1GiB", "Disk space that is left free: with less of it, nothing is added.")
        case .diskReserve:
            Row(ByteCount.self, "8MiB", "Disk space kept for deleting and starting on a full disk; 0 for none.")
        case .uploadExpiry: Row(Duration.self, "7d", least: "1s", "Life of an unfinished upload after its last byte.")
        case .temporaryExpiry: Row(Duration.self, "30d", least: "1s", "Life of a temporary file.")
        case .reclaimInterval: Row(Duration.self, "5m", least: "1s", "Time between two rounds of the reclaimer.")
        case .reclaimGrace: Row(Duration.self, "1h", "Time between a blob's last file and its bytes going.")
        case .scrubInterval: Row(Duration.self, "7d", "Time from one reading of all blobs to the next; 0s for none.")
        case .scrubRate: Row(ByteCount.self, "16MiB", least: "1", "Bytes per second of that reading.")
        case .privateDownloads: Row(Bool.self, "false", "Ask for a token on downloads too.")
        case .corsOrigins: Row(OriginList.self, "none", "Origins whose pages may use the server; * for all.")
        case .crossOriginResourcePolicy:
            Row(CrossOriginResourcePolicy.self, "auto", "Header of downloads; auto by cors-origins.")
        case .logLevel: Row(Logger.Level.self, "info", "Least level that is logged.")
        case .logFormat: Row(LogFormat.self, "text", "Form of the log's lines.")
        case .auditLog: Row(String.self, nil, "File of who changed what; - is the standard output.")
        case .shutdownTimeout: Row(Duration.self, "30s", "Time that running requests get when the server stops.")
        case .maxConnections: Row(AutomaticCount.self, "auto", "Connections at one time; auto by the limit of files.")
        case .maxConnectionsPerAddress: Row(CountLimit.self, "none", "The same for those of one client.")
        case .trustedProxies: Row(NetworkList.self, "none", "Proxies whose word on the client's address counts.")
        case .proxyProtocol: Row(Bool.self, "false", "Expect the header of the PROXY protocol from them.")
        case .rateLimit: Row(RateLimit.self, "none", "Requests that one subject may make.")
        case .rateLimitPerAddress: Row(RateLimit.self, "none", "Requests that one client may make.")
        case .headerTimeout: Row(Duration.self, "10s", least: "1ms", "Time that a request's headers may take.")
        case .bodyTimeout: Row(Duration.self, "30s", least: "1ms", "Time in which a body must bring 1 KiB/s.")
        case .sendTimeout: Row(Duration.self, "60s", least: "1ms", "Time in which a client must take of its answer.")
        case .idleTimeout: Row(Duration.self, "60s", least: "1ms", "Time that an idle connection stays open.")
        }
    }
}

extension Setting {
    /// One row of the table.
    struct Row {
        /// The text that stands for a value nobody gave; `nil` where there is none.
        let standard: String?
        let summary: String
        /// What stands for a value in help, such as `SIZE`.
        let placeholder: String
        /// What a value looks like, to go on after "must be".
        let form: String
        let isSecret: Bool
        /// The value of a well-formed text within the limits.
        let parse: (String) -> (any SettingValue)?

        init<Value: SettingValue>(_ type: Value.Type, _ standard: String?, _ summary: String) {
            self.standard = standard
            self.summary = summary
            placeholder = Value.placeholder
            form = Value.form
            isSecret = Value.self == SecretText.self
            parse = { Value(settingText: $0) }
        }

        init<Value: SettingValue & Comparable>(
            _ type: Value.Type, _ standard: String?, least: String, _ summary: String
        ) {
            self.standard = standard
            self.summary = summary
            placeholder = Value.placeholder
            form = "\(Value.form), and at least \(least)"
            isSecret = false
            parse = { text in
                guard let value = Value(settingText: text), let limit = Value(settingText: least), value >= limit
                else { return nil }
                return value
            }
        }
    }

    var flag: String { "--\(rawValue)" }

    /// Whether nobody may see the value: it has no flag, which others could see in the list of processes.
    var isSecret: Bool { row.isSecret }

    var environmentName: String {
        Self.environmentPrefix + rawValue.uppercased().replacing("-", with: "_")
    }

    /// The beginning of the name of every environment variable of this program.
    static let environmentPrefix = "BLOBD_"

    /// The setting that a misspelt key most likely meant.
    static func nearest(to key: String) -> Setting? {
        let key = key.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "-" }
        let ranked = allCases.map { (setting: $0, distance: editDistance(key, Array($0.rawValue))) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= max(2, key.count / 3)
        else { return nil }
        return best.setting
    }

    /// How many characters have to be put in, taken out or changed to make one text of the other.
    private static func editDistance(_ left: [Character], _ right: [Character]) -> Int {
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let substitution = diagonal + (a == b ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[right.count]
    }
}
