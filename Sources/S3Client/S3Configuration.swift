// The choices of a bucket's owner, and their checks before anything is asked of the store.

import BlobCore
import Foundation

/// Where a bucket is, who may use it, and how patient its client is.
public struct S3Configuration: Sendable {
    /// Where the bucket's name stands in the address.
    public enum Addressing: String, Sendable, CaseIterable {
        /// `https://s3.example.com/bucket/key`: works everywhere but with Amazon's newer buckets.
        case path
        /// `https://bucket.s3.example.com/key`: needs DNS, and a certificate, for every bucket.
        case virtualHost
    }

    /// The keys for signing requests. Its description leaves the secrets out.
    public struct Credentials: Sendable {
        public var accessKey: String
        public var secretKey: String
        /// Of credentials that were lent for a time.
        public var sessionToken: String?

        public init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
            self.accessKey = accessKey
            self.secretKey = secretKey
            self.sessionToken = sessionToken
        }
    }

    /// How often and when a call that failed is tried again.
    public struct Retries: Sendable {
        /// How often a call is tried in all; for the body of a download, how often in a row without any byte.
        public var tries = 5
        /// The first pause; each one after it is twice as long. A pause is shortened at random: see ``Backoff``.
        public var firstPause = Duration.milliseconds(100)
        public var longestPause = Duration.seconds(5)
        /// How long a call may take with all its tries and pauses.
        public var totalTime = Duration.seconds(90)

        public init() {}
    }

    /// When calls stop asking a store that does not answer.
    public struct CircuitBreaking: Sendable {
        /// How many tries in a row, of all calls together, have to fail by no connection, no reply or 5xx.
        public var failures = 10
        /// How long all calls but a probe then fail at once. It doubles with every probe that fails.
        public var firstPause = Duration.milliseconds(500)
        public var longestPause = Duration.seconds(10)

        public init() {}
    }

    /// The store's address, without the bucket: `https://s3.example.com`, `http://10.0.0.7:8080`, `http://[::1]:9000`.
    public var endpoint: String
    /// Part of every signature. Stores other than Amazon's mostly take any.
    public var region: String
    public var bucket: String
    public var addressing = Addressing.path
    public var credentials: Credentials
    /// The path of a PEM file with the certificates whose signatures are believed, and nobody else's; `nil` for those
    /// of the system.
    public var certificateAuthority: String?
    /// How long making a connection may take, and waiting for a free one.
    public var connectTimeout = Duration.seconds(5)
    /// How long a connection may be silent while something is expected of it.
    public var idleTimeout = Duration.seconds(30)
    /// How long one try of a call may take, with the body that is sent; the body of a download is not counted.
    public var callTimeout = Duration.seconds(60)
    /// How long ``S3Bucket/checkAccess()`` may take.
    public var checkTimeout = Duration.seconds(5)
    /// Connections at most at a time. Running downloads count.
    public var connectionLimit = 64
    public var retries = Retries()
    public var circuitBreaking = CircuitBreaking()

    public init(endpoint: String, region: String = "us-east-1", bucket: String, credentials: Credentials) {
        self.endpoint = endpoint
        self.region = region
        self.bucket = bucket
        self.credentials = credentials
    }
}

extension S3Configuration.Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "access key \(accessKey)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["accessKey": accessKey]) }
}

extension S3Configuration {
    /// - Throws: ``S3Error`` of the kind `invalidConfiguration`.
    func validate() throws(S3Error) {
        try Self.require(
            !region.isEmpty && region.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") },
            "the region '\(region)' must be a name such as us-east-1")
        try Self.require(
            isBucketName,
            "the bucket '\(bucket)' must have 3 to 63 characters a-z, 0-9, '.' and '-', the first and last no '.' or '-'"
        )
        for (name, value) in [
            ("access key", credentials.accessKey), ("secret key", credentials.secretKey),
            ("session token", credentials.sessionToken ?? "none"),
        ] {
            try Self.require(
                !value.isEmpty && value.utf8.allSatisfy { (0x21...0x7e).contains($0) },
                "the \(name) must be printable ASCII without spaces or line breaks")
        }
        for (name, value) in [
            ("connect timeout", connectTimeout), ("idle timeout", idleTimeout), ("call timeout", callTimeout),
            ("check timeout", checkTimeout), ("total time of a call", retries.totalTime),
            ("circuit's first pause", circuitBreaking.firstPause),
            ("circuit's longest pause", circuitBreaking.longestPause),
        ] {
            try Self.require(
                value > .zero && value <= .seconds(86_400), "the \(name) must be more than 0 and at most a day")
        }
        try Self.require(
            retries.firstPause >= .zero && retries.longestPause >= .zero, "a pause cannot be less than nothing")
        try Self.require(retries.tries > 0, "a call must be tried at least once")
        try Self.require(circuitBreaking.failures > 0, "the circuit must allow at least one failure")
        try Self.require(connectionLimit > 0, "there must be at least one connection")
    }

    private static func require(_ condition: Bool, _ message: String) throws(S3Error) {
        guard condition else { throw S3Error(.invalidConfiguration, message: message) }
    }

    private var isBucketName: Bool {
        let name = Array(bucket.utf8)
        guard (3...63).contains(name.count), let first = name.first, let last = name.last else { return false }
        return first.isLowerOrDigit && last.isLowerOrDigit
            && name.allSatisfy { $0.isLowerOrDigit || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }
}

/// The bucket's address, taken apart once.
struct BucketAddress: Sendable {
    /// `https` or `http`.
    let scheme: String
    /// As it stands in the Host header: with the port unless it is the scheme's own, IPv6 in brackets.
    let host: String
    /// The path before the key: empty, or `/bucket`.
    let base: String

    /// - Throws: ``S3Error`` of the kind `invalidConfiguration`.
    init(_ configuration: S3Configuration) throws(S3Error) {
        let text = configuration.endpoint
        let wrong = { (problem: String) in
            S3Error(.invalidConfiguration, message: "the endpoint '\(text)' \(problem)")
        }
        guard let url = URLComponents(string: text), let host = url.percentEncodedHost, !host.isEmpty,
            let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme)
        else { throw wrong("must be an address such as https://s3.example.com or http://10.0.0.7:8080") }
        guard url.user == nil, url.password == nil else { throw wrong("must not hold credentials") }
        guard url.path.isEmpty || url.path == "/" else {
            throw wrong("must end after the host and port; the bucket is a setting of its own")
        }
        guard url.query == nil, url.fragment == nil else { throw wrong("must not have '?' or '#'") }
        guard url.port.map({ (1...65_535).contains($0) }) ?? true else { throw wrong("has no port's number") }
        let port = url.port == (scheme == "https" ? 443 : 80) ? nil : url.port
        let bare = host.lowercased()
        let full = bare + (port.map { ":\($0)" } ?? "")
        self.scheme = scheme
        switch configuration.addressing {
        case .path: (self.host, base) = (full, "/" + configuration.bucket)
        case .virtualHost:
            guard !bare.hasPrefix("["), !bare.split(separator: ".").allSatisfy({ UInt8($0) != nil }) else {
                throw wrong("is a number, before which no bucket's name can stand: use path addressing")
            }
            guard scheme == "http" || !configuration.bucket.contains(".") else {
                throw S3Error(
                    .invalidConfiguration,
                    message: "no certificate covers the bucket '\(configuration.bucket)' as a host: use path addressing"
                )
            }
            (self.host, base) = ("\(configuration.bucket).\(full)", "")
        }
    }

    /// The path of an object, or of the bucket when there is no key, percent-encoded once and never normalized.
    func path(of key: String?) -> String {
        guard let key else { return base.isEmpty ? "/" : base }
        return base + "/" + PercentEncoding.path(key)
    }
}

extension UInt8 {
    fileprivate var isLowerOrDigit: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
    }

    fileprivate var isLetterOrDigit: Bool {
        isLowerOrDigit || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }
}
