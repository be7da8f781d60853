// The model of the reference document on a port: requests over HTTP/1.1 are put to it, and answered with the faults
// that it asks for.

import BlobClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

final class ReferenceServer: Sendable {
    let model: ReferenceModel
    private let channel: any Channel

    private init(_ model: ReferenceModel, _ channel: any Channel) {
        (self.model, self.channel) = (model, channel)
    }

    static func start(_ model: ReferenceModel) async throws -> ReferenceServer {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                    try channel.pipeline.syncOperations.addHandler(StubConnection(model))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ReferenceServer(model, channel)
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var address: String { "http://127.0.0.1:\(port)" }

    func stop() async throws {
        try await channel.close()
    }
}

/// One connection, one request at a time.
private final class StubConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let model: ReferenceModel
    private var request: StubRequest?
    private var fault: Fault?

    init(_ model: ReferenceModel) {
        self.model = model
    }

    func channelActive(context: ChannelHandlerContext) {
        model.connected(1)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            let request = StubRequest(head)
            self.request = request
            fault = model.begins(request)
            if case .answerAtHead(let status) = fault { refuse(status, context) }
            if case .cut(after: 0) = fault, request.operation != .download { cut(context) }
        case .body(let bytes): takes(bytes, context)
        case .end: ends(context)
        }
    }

    private func refuse(_ status: Int, _ context: ChannelHandlerContext) {
        request = nil
        var answer = model.refusal(status)
        answer.headers.append(("Connection", "close"))
        write(answer, context)
        context.close(promise: nil)
    }

    private func takes(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        guard request != nil else { return }
        var bytes = bytes
        var isCut = false
        if case .cut(let count) = fault, let held = request?.body.count, held + bytes.readableBytes >= count {
            bytes = bytes.getSlice(at: bytes.readerIndex, length: count - held) ?? ByteBuffer()
            isCut = true
        }
        model.receives(bytes.readableBytes)
        request?.body += bytes.readableBytesView
        if isCut { cut(context) }
    }

    private func cut(_ context: ChannelHandlerContext) {
        if let request { model.breaks(request) }
        request = nil
        context.close(promise: nil)
    }

    private func ends(_ context: ChannelHandlerContext) {
        guard let request else { return }
        self.request = nil
        switch fault {
        case .silence: model.silent.happens()
        case .closeBeforeActing: context.close(promise: nil)
        case .closeAfterActing:
            _ = model.answer(request)
            context.close(promise: nil)
        case .answer(let status, let retryAfter):
            var answer = model.refusal(status)
            if let retryAfter { answer.headers.append(("Retry-After", retryAfter)) }
            write(answer, context)
        case .named(let status, let code): write(model.refusal(status, code), context)
        case .answerAfterActing(let status):
            _ = model.answer(request)
            write(model.refusal(status), context)
        case .stall(let count): write(model.answer(request), cutAfter: count, closing: false, context)
        case .forget:
            model.forget(request.subject)
            write(model.answer(request), context)
        case .redirect(let status, let location):
            write(StubAnswer(status: status, headers: location.map { [("Location", $0)] } ?? []), context)
        case .endless(let status, let headers): writeWithoutEnd(status, headers, model.answer(request).body, context)
        case .strange(let status, let text):
            write(
                StubAnswer(status: status, headers: [("Content-Type", "text/html")], body: Array(text.utf8)), context)
        case .cut(let count):
            if request.operation == .download { return write(model.answer(request), cutAfter: count, context) }
            // A body that was shorter than the cut is cut at its end.
            model.breaks(request)
            context.close(promise: nil)
        case .answerAtHead, .nothing, nil: write(model.answer(request), context)
        }
    }

    private func write(
        _ answer: StubAnswer, cutAfter limit: Int? = nil, closing: Bool = true, _ context: ChannelHandlerContext
    ) {
        var headers = HTTPHeaders(answer.headers.map { ($0.0, $0.1) })
        let hidesLength = model.manners.hidesLength && answer.status == 200
        if hidesLength {
            headers.add(name: "Connection", value: "close")
        } else if answer.status != 204 {
            headers.add(name: "Content-Length", value: "\(answer.body.count)")
        }
        let version = hidesLength ? HTTPVersion.http1_0 : .http1_1
        let head = HTTPResponseHead(version: version, status: .init(statusCode: answer.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let body = answer.body.prefix(limit ?? .max)
        if !body.isEmpty { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        if limit == nil {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        } else {
            context.flush()
        }
        if limit != nil && closing || hidesLength { context.close(promise: nil) }
    }

    private func writeWithoutEnd(
        _ status: Int, _ headers: [String: String], _ beginning: [UInt8], _ context: ChannelHandlerContext
    ) {
        let fields = HTTPHeaders(headers.map { ($0.key, $0.value) })
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        writeOn(ByteBuffer(bytes: beginning), context)
    }

    /// Writes the bytes, and more when they have gone.
    private func writeOn(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        let (loop, bound) = (context.eventLoop, NIOLoopBound((self, context), eventLoop: context.eventLoop))
        let written = loop.makePromise(of: Void.self)
        written.futureResult.whenSuccess {
            let (connection, context) = bound.value
            connection.writeOn(ByteBuffer(repeating: UInt8(ascii: " "), count: 64 << 10), context)
        }
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: written)
    }

    /// The other side has gone within its request.
    func channelInactive(context: ChannelHandlerContext) {
        if let request { model.breaks(request) }
        request = nil
        model.connected(-1)
    }

    /// Broken connections are the subject of these tests.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

extension StubRequest {
    /// Finds the operation that the reference document has for a request.
    fileprivate init(_ head: HTTPRequestHead) {
        let url = URLComponents(string: head.uri)
        let words = (url?.path ?? "").split(separator: "/").map(String.init)
        let method = head.method
        switch (method, words.count, words.last) {
        case (.POST, 3, "uploads"): operation = .initiate
        case (.POST, 5, "append"): operation = .append
        case (.GET, 5, "status"): operation = .status
        case (.POST, 5, "complete"): operation = .complete
        case (.POST, 5, "destroy"): operation = .destroy
        case (.GET, 3, _): operation = .download
        default: operation = .other
        }
        for item in url?.queryItems ?? [] { query[item.name] = item.value }
        for header in head.headers { headers[header.name.lowercased()] = header.value }
        guard words.starts(with: ["api", "blobs"]) else {
            operation = method == .GET && words == ["api", "files"] ? .list : .other
            return
        }
        subject = words.count == 5 ? words[3] : words.last ?? ""
    }
}
