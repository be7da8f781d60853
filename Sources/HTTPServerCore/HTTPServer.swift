// Listens, sets up connections, and stops without losing running requests.

import Glibc
public import Logging
public import NIOCore
import NIOExtras
import NIOHTTP2
import NIOHTTPTypesHTTP2
public import NIOPosix
public import NIOSSL
import NIOTLS
public import ServiceLifecycle

/// How long a connection may take for what.
public struct ConnectionTimeouts: Sendable {
    /// From a request's first byte to the end of its head.
    public var header: TimeAmount
    /// The window in which a body must bring 1 KiB per second.
    public var body: TimeAmount
    /// For the client to take something of an answer.
    public var send: TimeAmount
    /// Between requests.
    public var idle: TimeAmount

    public init(header: TimeAmount, body: TimeAmount, send: TimeAmount, idle: TimeAmount) {
        self.header = header
        self.body = body
        self.send = send
        self.idle = idle
    }
}

/// What the streams of an HTTP/2 connection share.
struct HTTP2Sharing: Sendable {
    let connection: NIOLoopBound<HTTP2Connection>
    let backlog: ConnectionBacklog
    let answers: AnswerBudget
}

/// What a connection's handler needs to know.
struct ConnectionConfiguration: Sendable {
    let timeouts: ConnectionTimeouts
    let threads: NIOThreadPool
    let answers: AnswerBudget
    let connection: OpenConnection
    /// `nil` where nobody knows.
    let peer: Peer?
    /// Whose word on the client counts; `nil` where the peer is none of them.
    let proxies: TrustedProxies?
    /// `nil` for HTTP/1.1.
    let stream: HTTP2Sharing?
    /// Whether the connection is one of TLS.
    let isSecure: Bool

    var isHTTP2: Bool { stream != nil }
    /// Whether the kernel may move file bytes to the socket: not through TLS or HTTP/2.
    var sendsFileRegions: Bool { !isSecure && !isHTTP2 }
}

/// The server: HTTP/1.1 in the clear, or HTTP/1.1 and HTTP/2 (by ALPN) over TLS.
public struct HTTPServer: Service {
    public struct Configuration: Sendable {
        public var host: String
        public var port: Int
        /// `nil` for plaintext. Its protocols must be those of ``applicationProtocols``.
        public var tls: TLSConfiguration?
        public var timeouts: ConnectionTimeouts
        /// How long running requests may go on after the server was told to stop.
        public var shutdownTimeout: TimeAmount
        /// Connections that may be open at one time.
        public var maxConnections: Int
        /// The same for those of one client; `nil` for no limit.
        public var maxConnectionsPerAddress: Int?
        /// Whose word on the client counts.
        public var trustedProxies: TrustedProxies
        /// Whether every connection begins with a header of the PROXY protocol.
        public var readsProxyHeaders: Bool
        /// Why no further connection can be taken now; `nil` where one can. Called on an event loop.
        public var obstacle: @Sendable () -> String?
        /// What an operator can do about an error number of the system; `nil` where that is not known.
        public var advice: @Sendable (CInt) -> String?

        public init(
            host: String, port: Int, tls: TLSConfiguration?, timeouts: ConnectionTimeouts, shutdownTimeout: TimeAmount,
            maxConnections: Int, maxConnectionsPerAddress: Int?, trustedProxies: TrustedProxies,
            readsProxyHeaders: Bool,
            obstacle: @escaping @Sendable () -> String?,
            advice: @escaping @Sendable (CInt) -> String?
        ) {
            self.host = host
            self.port = port
            self.tls = tls
            self.timeouts = timeouts
            self.shutdownTimeout = shutdownTimeout
            self.maxConnections = maxConnections
            self.maxConnectionsPerAddress = maxConnectionsPerAddress
            self.trustedProxies = trustedProxies
            self.readsProxyHeaders = readsProxyHeaders
            self.obstacle = obstacle
            self.advice = advice
        }
    }

    /// The header fields of a request. HTTP/1.1 keeps to it before there is a request, HTTP/2 does not.
    public static let mostFields = 100

    /// What a TLS configuration for this server offers by ALPN (RFC 7301).
    public static let applicationProtocols = NIOHTTP2SupportedALPNProtocols

    /// How long the other end of TLS may take to say goodbye, which a client that is cut will not.
    private static let goodbyeTimeout = TimeAmount.milliseconds(500)

    private let configuration: Configuration
    private let responder: any Responder
    private let group: any EventLoopGroup
    private let threads: NIOThreadPool
    private let connections: OpenConnections
    private let logger: Logger
    private let onReady: @Sendable (SocketAddress) async -> Void

    /// - Parameters:
    ///   - responder: answers the requests.
    ///   - threads: a running pool for reads of files that cannot be sent by the kernel.
    ///   - onReady: called once, when connections are accepted, with the address that was bound.
    public init(
        configuration: Configuration, responder: any Responder, group: any EventLoopGroup, threads: NIOThreadPool,
        logger: Logger,
        onReady: @escaping @Sendable (SocketAddress) async -> Void
    ) {
        self.configuration = configuration
        self.responder = responder
        self.group = group
        self.threads = threads
        connections = OpenConnections(
            most: configuration.maxConnections, mostPerNetwork: configuration.maxConnectionsPerAddress,
            proxies: configuration.trustedProxies)
        self.logger = logger
        self.onReady = onReady
    }

    /// Serves until told to stop, then takes no new connections, lets running requests finish for a bounded time, and
    /// returns when no route is working any more.
    public func run() async throws {
        let quiescing = ServerQuiescingHelper(group: group)
        let server = ServerState()
        let tls = try configuration.tls.map { tls in
            var tls = tls
            tls.shutdownTimeout = Self.goodbyeTimeout
            return try NIOSSLContext(configuration: tls)
        }
        let channel = try await bootstrap(quiescing, server, tls: tls)
            .bind(host: configuration.host, port: configuration.port).get()
        if let address = channel.localAddress { await onReady(address) }
        try await gracefulShutdown()
        logger.info("stopping: no new connections, running requests may finish")
        let stopped = channel.eventLoop.makePromise(of: Void.self)
        quiescing.initiateShutdown(promise: stopped)
        let cut = channel.eventLoop.scheduleTask(in: configuration.shutdownTimeout) { connections.closeAll() }
        try await stopped.futureResult.get()
        cut.cancel()
        await server.exchanges.idle()
    }

    private func bootstrap(
        _ quiescing: ServerQuiescingHelper, _ server: ServerState, tls: NIOSSLContext?
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            // The gate looks before each read: a read takes one connection.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptGate(configuration, connections, logger: logger))
                    try channel.pipeline.syncOperations.addHandler(quiescing.makeServerChannelHandler(channel: channel))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try setUp(channel, server, tls) }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.userTimeout, value: Int(configuration.timeouts.send.milliseconds))
            // One read brings one buffer: a connection never holds more than it was asked for. The allocator grows to a
            // size that keeps the number of system calls per MiB low, and shrinks again for connections that idle.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 8192, maximum: 256 * 1024)
            )
    }

    /// Closes the connection that has been idle for longest: what is scarce may be needed by those that are busy.
    public func closeOldestIdleConnection() {
        connections.closeOldestIdle()
    }

    // MARK: Pipelines

    /// What the handlers of one connection are set up with.
    private struct Newcomer {
        let server: ServerState
        let connection: OpenConnection
        let peer: Peer?
    }

    private func setUp(_ channel: any Channel, _ server: ServerState, _ tls: NIOSSLContext?) throws {
        guard let connection = connections[channel] else { throw ChannelError.ioOnClosedChannel }
        let peer = channel.remoteAddress.flatMap(Peer.init)
        guard configuration.readsProxyHeaders else {
            return try setUp(channel, Newcomer(server: server, connection: connection, peer: peer), tls)
        }
        guard let peer, configuration.trustedProxies.contains(peer.address) else {
            logger.warning(
                "a connection was refused: it is from none of the trusted proxies",
                metadata: ["peer": "\(peer.map { "\($0.address)" } ?? "unknown")", "limit": "proxy-protocol"])
            throw ChannelError.ioOnClosedChannel
        }
        let deadline = HandshakeDeadline(timeout: configuration.timeouts.header)
        let reader = ProxyHeaderHandler { header in
            channel.pipeline.syncOperations.removeHandler(deadline, promise: nil)
            let source = header.source.map { Peer($0.address, port: $0.port) }
            if let source, !connection.belongs(to: source.address) { throw ChannelError.ioOnClosedChannel }
            try setUp(channel, Newcomer(server: server, connection: connection, peer: source ?? peer), tls)
        }
        try channel.pipeline.syncOperations.addHandlers([deadline, reader])
    }

    private func setUp(_ channel: any Channel, _ newcomer: Newcomer, _ tls: NIOSSLContext?) throws {
        guard let tls else { return try addHTTP1(to: channel, newcomer, isSecure: false) }
        let pipeline = channel.pipeline.syncOperations
        let deadline = HandshakeDeadline(timeout: configuration.timeouts.header)
        try pipeline.addHandlers([deadline, NIOSSLServerHandler(context: tls)])
        try pipeline.addHandler(
            ApplicationProtocolNegotiationHandler { result, channel in
                channel.pipeline.syncOperations.removeHandler(deadline, promise: nil)
                return channel.eventLoop.makeCompletedFuture {
                    if case .negotiated("h2") = result {
                        try addHTTP2(to: channel, newcomer)
                    } else {
                        try addHTTP1(to: channel, newcomer, isSecure: true)
                    }
                }
            }
        )
        // Nothing else reads before the protocol is known.
        try channel.syncOptions?.setOption(.autoRead, value: true)
    }

    private func addHTTP1(to channel: any Channel, _ newcomer: Newcomer, isSecure: Bool) throws {
        if isSecure { try channel.syncOptions?.setOption(.autoRead, value: false) }
        let codec = HTTP1Codec(isSecure: isSecure, turns: newcomer.server.turns.of(channel.eventLoop))
        try channel.pipeline.syncOperations.addHandlers([
            codec, handler(newcomer, isSecure: isSecure, codec: codec),
        ])
    }

    private func addHTTP2(to channel: any Channel, _ newcomer: Newcomer) throws {
        let answers = AnswerBudget(HTTP2Windows.answerByteCount, within: newcomer.server.answers)
        let gate = HTTP2Gate(turns: newcomer.server.turns.of(channel.eventLoop))
        let connection = HTTP2Connection(idleTimeout: configuration.timeouts.idle, answers: answers, gate: gate)
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        let backlog = ConnectionBacklog(
            budget: newcomer.server.bodies, gate: NIOLoopBound(gate, eventLoop: channel.eventLoop))
        let shared = HTTP2Sharing(connection: bound, backlog: backlog, answers: answers)
        try channel.pipeline.syncOperations.addHandler(gate)
        _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: HTTP2Windows.connection, streamConfiguration: HTTP2Windows.stream
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                bound.value.opened(stream)
                // Bytes are counted as they come: the backlog says when to stop.
                try stream.syncOptions?.setOption(.autoRead, value: true)
                try stream.pipeline.syncOperations.addHandlers([
                    HTTP2FramePayloadToHTTPServerCodec(), handler(newcomer, shared, isSecure: true),
                ])
            }
        }
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    private func handler(
        _ newcomer: Newcomer, _ stream: HTTP2Sharing? = nil, isSecure: Bool, codec: HTTP1Codec? = nil
    ) -> ConnectionHandler {
        let isProxied = newcomer.peer.map { configuration.trustedProxies.contains($0.address) } ?? false
        return ConnectionHandler(
            configuration: ConnectionConfiguration(
                timeouts: configuration.timeouts, threads: threads, answers: stream?.answers ?? newcomer.server.answers,
                connection: newcomer.connection, peer: newcomer.peer,
                proxies: isProxied ? configuration.trustedProxies : nil, stream: stream, isSecure: isSecure
            ),
            responder: responder, server: newcomer.server, codec: codec
        )
    }
}

extension ChannelOption where Self == ChannelOptions.Types.SocketOption {
    /// Milliseconds after which the kernel gives up a connection whose other end takes none of the bytes that it was
    /// sent (TCP_USER_TIMEOUT of tcp(7)).
    fileprivate static var userTimeout: Self {
        ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT))
    }
}

extension TimeAmount {
    fileprivate var milliseconds: Int32 { Int32(clamping: nanoseconds / 1_000_000) }
}
