// A server that gives the replies it was told, one for each request in turn, however wrong they are.

import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// One reply.
struct Canned: Sendable {
    enum End: Sendable {
        /// The reply is whole.
        case end
        /// The connection is closed there.
        case close
        /// Nothing more comes.
        case silence
    }

    var status = 200
    var headers: [(String, String)] = []
    var body: [UInt8] = []
    /// How much of the body is sent; `nil` for all of it.
    var sent: Int?
    var end = End.end
    /// Whether not even the status is sent.
    var isHeadless = false
    /// Whether the body is an object's, of which the request may have asked for a range.
    var isObject = false

    init(_ status: Int, headers: [(String, String)] = [], _ body: String = "") {
        (self.status, self.headers, self.body) = (status, headers, Array(body.utf8))
    }

    /// An error reply in S3's form.
    static func error(_ status: Int, _ code: String, more: String = "") -> Canned {
        Canned(status, "<?xml version=\"1.0\"?><Error><Code>\(code)</Code><Message>no</Message>\(more)</Error>")
    }

    /// The request was taken, and the connection closed without a word.
    static var lost: Canned {
        var canned = Canned(200)
        (canned.isHeadless, canned.end) = (true, .close)
        return canned
    }

    static var silent: Canned {
        var canned = Canned(200)
        (canned.isHeadless, canned.end) = (true, .silence)
        return canned
    }

    static func object(_ body: [UInt8], eTag: String = "\"e\"") -> Canned {
        var canned = Canned(
            200, headers: [("ETag", eTag), ("Last-Modified", "Fri, 24 May 2013 00:00:00 GMT")])
        (canned.body, canned.isObject) = (body, true)
        return canned
    }

    /// The reply to one request: with the part of the object that was asked for.
    fileprivate func answer(to request: SeenRequest) -> Canned {
        let bounds = (request.headers.first(name: "Range") ?? "").dropFirst(6).split(separator: "-").compactMap {
            Int($0)
        }
        guard isObject, bounds.count == 2 else { return self }
        var part = self
        part.status = 206
        part.body = Array(body[bounds[0]...min(bounds[1], body.count - 1)])
        let range = "bytes \(bounds[0])-\(min(bounds[1], body.count - 1))/\(body.count)"
        part.headers.append(("Content-Range", range))
        return part
    }

    /// The reply breaks off after some bytes of its body.
    func cut(after count: Int, _ end: End = .close) -> Canned {
        var canned = self
        (canned.sent, canned.end) = (count, end)
        return canned
    }
}

/// A request as it came.
struct SeenRequest: Sendable {
    var method: HTTPMethod
    var uri: String
    var headers: HTTPHeaders
    var body: [UInt8] = []
}

/// The replies to come, and the requests that came.
private final class Script: Sendable {
    struct State {
        var replies: [Canned]
        var seen: [SeenRequest] = []
    }

    let state: Mutex<State>
    let arrivals: AsyncStream<Void>
    private let arrived: AsyncStream<Void>.Continuation

    init(_ replies: [Canned]) {
        state = Mutex(State(replies: replies))
        (arrivals, arrived) = AsyncStream.makeStream()
    }

    func answer(_ request: SeenRequest) -> Canned {
        let canned = state.withLock { state in
            state.seen.append(request)
            return state.replies.count > 1 ? state.replies.removeFirst() : state.replies[0]
        }
        arrived.yield()
        return canned
    }
}

struct CannedStore: Sendable {
    private let script: Script
    private let channel: any Channel

    /// - Parameter replies: at least one; the last is given again and again.
    static func start(_ replies: [Canned], tls: NIOSSLContext? = nil) async throws -> CannedStore {
        let script = Script(replies)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: false)
                    try pipeline.addHandler(CannedConnection(script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return CannedStore(script: script, channel: channel)
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    /// The requests that came whole, in their order.
    var seen: [SeenRequest] { script.state.withLock(\.seen) }

    /// Waits for the first request.
    func isAsked() async {
        for await _ in script.arrivals { return }
    }

    func stop() async throws {
        try await channel.close()
    }
}

private final class CannedConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let script: Script
    private var request: SeenRequest?

    init(_ script: Script) {
        self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = SeenRequest(method: head.method, uri: head.uri, headers: head.headers)
        case .body(let bytes): request?.body += bytes.readableBytesView
        case .end:
            guard let request else { return }
            self.request = nil
            write(script.answer(request).answer(to: request), isHead: request.method == .HEAD, context)
        }
    }

    private func write(_ canned: Canned, isHead: Bool, _ context: ChannelHandlerContext) {
        if !canned.isHeadless {
            var headers = HTTPHeaders(canned.headers.map { ($0.0, $0.1) })
            if !headers.contains(name: "Content-Length"), canned.status != 204 {
                headers.add(name: "Content-Length", value: "\(canned.body.count)")
            }
            let head = HTTPResponseHead(
                version: .http1_1, status: HTTPResponseStatus(statusCode: canned.status), headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            let body = canned.body.prefix(canned.sent ?? .max)
            if !body.isEmpty, !isHead {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
            }
        }
        switch canned.end {
        case .end: context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        case .close:
            context.flush()
            context.close(promise: nil)
        case .silence: context.flush()
        }
    }

    /// Broken connections are the subject of these tests.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
