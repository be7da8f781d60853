// One connection through the fault proxy: bytes from the client go to the server and the server's go back, until the
// fault comes. Everything happens on one event loop.

import Glibc
import NIOCore
import NIOPosix

final class ProxiedConnection {
    private enum Side {
        case client, server
    }

    private let proxy: FaultProxy
    private let client: any Channel
    private let server: any Channel
    private var requests = MessageScanner()
    private var answers = MessageScanner()
    /// Of the request that is under way.
    private var fault: WireFault?
    private var bodyCount: Int64 = 0
    private var position: Int64 = 0
    private var answerCount: Int64 = 0
    private var answerPosition: Int64 = 0
    private var isAnswerABlob = false
    /// A request has begun, and its answer has not ended.
    private var isBusy = false
    /// Nothing passes any more.
    private var isOver = false
    /// The body goes nowhere; afterwards comes this answer.
    private var swallowing: Int?
    /// This many reads wait this long.
    private var slow = (reads: 0, pause: TimeAmount.zero)

    private init(_ proxy: FaultProxy, _ client: any Channel, _ server: any Channel) {
        (self.proxy, self.client, self.server) = (proxy, client, server)
    }

    /// Connects to the server for a client that has come. Without a server, the client's connection is closed.
    static func begin(_ client: any Channel, _ proxy: FaultProxy) -> EventLoopFuture<Void> {
        ClientBootstrap(group: client.eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.maxMessagesPerRead, value: 1)
            .connect(host: "127.0.0.1", port: proxy.targetPort)
            .flatMapThrowing { server in
                proxy.keep(server)
                let connection = ProxiedConnection(proxy, client, server)
                try client.pipeline.syncOperations.addHandler(Pipe(connection, .client))
                try server.pipeline.syncOperations.addHandler(Pipe(connection, .server))
                server.read()
            }
    }

    private final class Pipe: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        let connection: ProxiedConnection
        let side: Side

        init(_ connection: ProxiedConnection, _ side: Side) {
            (self.connection, self.side) = (connection, side)
        }

        func channelActive(context: ChannelHandlerContext) {
            if side == .client { context.read() }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            switch side {
            case .client: connection.takesFromClient(&bytes)
            case .server: connection.takesFromServer(&bytes)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            connection.ended(side)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private func ended(_ side: Side) {
        guard !isOver else { return }
        isOver = true
        if side == .client, isBusy { proxy.count { $0.abandoned += 1 } }
        (side == .client ? server : client).close(promise: nil)
    }

    // MARK: From the client

    private func takesFromClient(_ bytes: inout ByteBuffer) {
        while !isOver, let part = requests.next(&bytes) {
            switch part {
            case .head(let head, let count): begins(head, count)
            case .body(let body, _): passesBody(body)
            }
        }
        readOn(client, after: server)
    }

    private func begins(_ head: ByteBuffer, _ count: Int64) {
        (fault, bodyCount, position, isBusy) = (proxy.begins(), count, 0, true)
        if let fault, case .refuse(let status, let atHead) = fault.action, fault.place < .beforeAnswer {
            proxy.count { $0.cuts += 1 }
            swallowing = status
            if atHead || count == 0 { refuse(closing: atHead) }
            return
        }
        if happens(.inHead) {
            toServer(prefix(head, fault?.fraction ?? 0))
            guard acts(remaining: suffix(head, fault?.fraction ?? 0), to: server) else { return }
        } else {
            toServer(head)
        }
        if happens(.afterHead) || count == 0 && happens(.afterRequest) { _ = acts() }
    }

    private func passesBody(_ body: ByteBuffer) {
        let count = Int64(body.readableBytes)
        proxy.count { $0.up += count }
        defer { position += count }
        if swallowing != nil {
            if position + count == bodyCount { refuse(closing: false) }
            return
        }
        var rest = body
        if let place = bodyPlace(), position < place || place == 0, place <= position + count {
            toServer(rest.readSlice(length: Int(place - position)) ?? ByteBuffer())
            guard acts(remaining: rest, to: server) else { return }
            return
        }
        toServer(rest)
    }

    /// After how many bytes of the body the fault comes, if it comes there.
    private func bodyPlace() -> Int64? {
        switch fault?.place {
        case .firstByte: 1
        case .middle: max(1, Int64(Double(bodyCount) * (fault?.fraction ?? 0)))
        case .beforeLastByte: max(1, bodyCount - 1)
        case .afterRequest: bodyCount
        default: nil
        }
    }

    private func refuse(closing: Bool) {
        guard let status = swallowing else { return }
        swallowing = nil
        isBusy = false
        let connection = closing ? "Connection: close\r\n" : ""
        let answer = "HTTP/1.1 \(status) No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\(connection)\r\n"
        client.writeAndFlush(ByteBuffer(string: answer), promise: nil)
        if closing { close() }
    }

    private func toServer(_ bytes: ByteBuffer) {
        if bytes.readableBytes > 0 { server.writeAndFlush(bytes, promise: nil) }
    }

    // MARK: From the server

    private func takesFromServer(_ bytes: inout ByteBuffer) {
        while !isOver, let part = answers.next(&bytes) {
            switch part {
            case .head(let head, let count): passesAnswersHead(head, count)
            case .body(let body, let isLast):
                passesAnswer(body)
                if isLast { isBusy = false }
            }
        }
        readOn(server, after: client)
    }

    private func passesAnswersHead(_ head: ByteBuffer, _ count: Int64) {
        (answerCount, answerPosition) = (count, 0)
        let text = String(buffer: head)
        isAnswerABlob = text.contains("application/octet-stream")
        if let fault, case .refuse(let status, _) = fault.action, fault.place >= .beforeAnswer {
            // The server has acted, and the client is told something else.
            proxy.count { $0.cuts += 1 }
            swallowing = status
            return refuse(closing: true)
        }
        if happens(.beforeAnswer) {
            guard acts(remaining: head, to: client) else { return }
        } else if happens(.inAnswersHead) {
            toClient(prefix(head, fault?.fraction ?? 0))
            guard acts(remaining: suffix(head, fault?.fraction ?? 0), to: client) else { return }
        } else {
            toClient(head)
            if happens(.afterAnswersHead), !acts() { return }
        }
        if count == 0 { isBusy = false }
    }

    private func passesAnswer(_ body: ByteBuffer) {
        let count = Int64(body.readableBytes)
        defer { answerPosition += count }
        let place: Int64? =
            switch fault?.place {
            case .inAnswer: max(1, Int64(Double(answerCount) * (fault?.fraction ?? 0)))
            case .beforeAnswersLastByte: max(1, answerCount - 1)
            default: nil
            }
        var rest = body
        if let place, answerPosition < place, place <= answerPosition + count {
            let before = rest.readSlice(length: Int(place - answerPosition)) ?? ByteBuffer()
            countDown(before)
            toClient(before)
            guard acts(remaining: rest, to: client) else { return }
            return countDown(rest)
        }
        countDown(rest)
        toClient(rest)
    }

    private func countDown(_ bytes: ByteBuffer) {
        if isAnswerABlob { proxy.count { $0.down += Int64(bytes.readableBytes) } }
    }

    private func toClient(_ bytes: ByteBuffer) {
        if bytes.readableBytes > 0 { client.writeAndFlush(bytes, promise: nil) }
    }

    // MARK: Faults

    private func happens(_ place: WireFault.Place) -> Bool { fault?.place == place }

    private func prefix(_ bytes: ByteBuffer, _ fraction: Double) -> ByteBuffer {
        bytes.getSlice(at: bytes.readerIndex, length: Int(Double(bytes.readableBytes - 1) * fraction)) ?? ByteBuffer()
    }

    private func suffix(_ bytes: ByteBuffer, _ fraction: Double) -> ByteBuffer {
        var rest = bytes
        rest.moveReaderIndex(forwardBy: Int(Double(bytes.readableBytes - 1) * fraction))
        return rest
    }

    /// Lets the fault happen.
    ///
    /// - Parameter remaining: the bytes that are still to be passed on when the fault breaks nothing.
    /// - Returns: whether the connection goes on.
    private func acts(remaining: ByteBuffer = ByteBuffer(), to channel: (any Channel)? = nil) -> Bool {
        guard let fault else { return true }
        self.fault = nil
        if fault.breaks { proxy.count { $0.cuts += 1 } }
        switch fault.action {
        case .end: close()
        case .reset: reset()
        case .silence: isOver = true
        case .refuse: break
        case .delay, .throttle:
            slow = fault.action == .delay ? (1, .milliseconds(50)) : (24, .milliseconds(2))
            if remaining.readableBytes > 0 { channel?.writeAndFlush(remaining, promise: nil) }
        }
        return !isOver
    }

    private func close() {
        isOver = true
        server.close(promise: nil)
        client.close(promise: nil)
    }

    private func reset() {
        isOver = true
        for channel in [server, client] {
            guard let socket = channel as? any SocketOptionProvider else { continue }
            socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
        }
    }

    /// Reads more when all read bytes have been passed on.
    private func readOn(_ source: any Channel, after sink: any Channel) {
        guard !isOver else { return }
        if slow.reads > 0 {
            slow.reads -= 1
            source.eventLoop.scheduleTask(in: slow.pause) { source.read() }
            return
        }
        sink.writeAndFlush(ByteBuffer()).whenComplete { _ in source.read() }
    }
}

extension WireFault.Place: Comparable {
    static func < (left: Self, right: Self) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }
}
