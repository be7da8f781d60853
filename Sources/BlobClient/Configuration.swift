// What an app may choose about its client.

extension BlobServiceClient {
    /// How a client behaves. The defaults suit large files over bad networks.
    public struct Configuration: Sendable {
        /// Whose certificates are believed.
        public enum Trust: Sendable, Equatable {
            /// Those of the system.
            case system
            /// Those that the certificates in a PEM file have signed, and nobody else's.
            case certificates(path: String)
            /// Anybody's: whoever is between may read and change everything, tokens too. For trying out only.
            case anything
        }

        /// Who makes connections to the server: by `CONNECT` (RFC 9110, §9.3.6), also where the server has `http`.
        public struct Proxy: Sendable, Equatable {
            public var host: String
            public var port: Int
            /// The name and password for the proxy itself, with a `:` between them, if it wants any.
            public var credentials: String?

            public init(host: String, port: Int, credentials: String? = nil) {
                (self.host, self.port, self.credentials) = (host, port, credentials)
            }
        }

        public var trust = Trust.system
        /// `nil` for none: this library does not look at the environment.
        public var proxy: Proxy?
        /// Bytes in a second of all uploads and downloads together; `nil` for as many as there can be.
        public var rateLimit: Int64?
        public var retries = RetryPolicy()
        /// How long making a connection may take.
        public var connectTimeout = Duration.seconds(10)
        /// How long a connection may be silent while something is expected of it.
        public var silenceLimit = Duration.seconds(60)
        /// Bytes that one append sends to a server that tells exact offsets, which keeps what arrives of a broken one.
        public var appendByteCount: Int64 = 64 << 20
        /// Bytes that one append sends to any other server, and of a stream, which are held in memory until they are
        /// safe.
        public var smallAppendByteCount: Int64 = 8 << 20
        /// Requests for pieces of 8 MiB of one download at a time, where the server knows ranges: more than one is
        /// faster where each connection is slow, and loses more bytes when connections break.
        public var downloadStreams = 1
        /// Bytes that are taken at most of a blob whose size the server does not announce: an answer without an end
        /// must not fill the disk.
        public var unannouncedByteLimit: Int64 = 1 << 30
        /// Connections that are made at most at a time.
        public var connectionLimit = 32
        /// The client's name for the server and proxies on the way: RFC 9110, §10.1.5.
        public var userAgent = "BlobClient"

        public init() {}
    }
}

/// How often and when what failed is tried again.
public struct RetryPolicy: Sendable {
    /// How many tries in a row may bring nothing before the error is final.
    public var triesWithoutProgress = 10
    /// How long it is tried at least, however often, from the first try that brings nothing on: a server that restarts
    /// or is full may take longer than all pauses together.
    public var leastTime = Duration.zero
    /// The first pause; each one after it is twice as long. A pause is shortened at random by up to a half, so that
    /// clients that failed together do not come back together.
    public var firstPause = Duration.milliseconds(500)
    /// The longest pause, unless the server asks for a longer one with `Retry-After`.
    public var longestPause = Duration.seconds(30)
    /// The longest pause that a server can ask for.
    public var longestRequestedPause = Duration.seconds(300)

    public init() {}
}
