// Sends an answer's body the cheapest way that the connection allows.

import NIOCore
import NIOHTTPTypes
import NIOPosix

/// Writes a body after its head. Belongs to the connection's event loop.
struct BodySender {
    let context: ChannelHandlerContext
    /// Where file regions can be written; `nil` where they cannot.
    let regionContext: ChannelHandlerContext?
    let threads: NIOThreadPool
    let budget: AnswerBudget
    /// Whether the connection is a stream of HTTP/2.
    let isStream: Bool
    /// Called when the client has taken a piece of several.
    let onProgress: () -> Void

    /// Up to this size, copying bytes out of the page cache costs less than setting up a `sendfile`.
    private static let smallByteCount: Int64 = 64 * 1024
    /// The size of a frame of HTTP/2 (RFC 9113 §6.5.2): of a stream, each is sent when its client has opened a window
    /// for it.
    private static let frameByteCount = 16 * 1024

    /// Writes the body. The future succeeds when no more of it has to be produced.
    func send(_ body: Response.Body) -> EventLoopFuture<Void> {
        switch body {
        case .empty: return context.eventLoop.makeSucceededVoidFuture()
        case .buffer(let buffer): return send(buffer)
        case .file(let file, let range):
            guard !range.isEmpty else { return context.eventLoop.makeSucceededVoidFuture() }
            if range.count <= min(Self.smallByteCount, Int64(budget.chunkByteCount)) {
                var buffer = context.channel.allocator.buffer(capacity: range.count)
                if file.readCached(range, into: &buffer) { return send(buffer) }
            }
            guard let regionContext else { return stream(file, range) }
            // The kernel moves the bytes from the page cache to the socket.
            return file.lending { handle in
                let region = FileRegion(
                    fileHandle: handle, readerIndex: Int(range.lowerBound), endIndex: Int(range.upperBound)
                )
                return regionContext.writeAndFlush(NIOAny(IOData.fileRegion(region)))
            }
        case .stream(let next, _): return relay(next)
        }
    }

    private func send(_ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        // A client that asks again and again and takes nothing must not let its answers pile up here.
        guard isStream || !context.channel.isWritable else {
            context.write(NIOAny(HTTPResponsePart.body(buffer)), promise: nil)
            return context.eventLoop.makeSucceededVoidFuture()
        }
        return holding(buffer.readableBytes) { write(buffer) }
    }

    /// Takes part in the budget until the client has taken everything.
    private func holding(_ byteCount: Int, _ send: () -> EventLoopFuture<Void>) -> EventLoopFuture<Void> {
        budget.join(holding: byteCount)
        return send().always { [budget] _ in budget.leave(holding: byteCount) }
    }

    /// Chunks are read on a thread, one ahead of the socket.
    private func stream(_ file: any SendableFile, _ range: Range<Int64>) -> EventLoopFuture<Void> {
        let (threads, budget, allocator) = (threads, budget, context.channel.allocator)
        let loop = context.eventLoop
        let position = NIOLoopBoundBox(range.lowerBound, eventLoop: loop)
        return holding(0) {
            relay {
                let start = position.value
                let end = min(range.upperBound, start + Int64(budget.chunkByteCount))
                guard start < end else { return nil }
                position.value = end
                return try await threads.runIfActive(eventLoop: loop) {
                    var buffer = allocator.buffer(capacity: Int(end - start))
                    guard try file.read(start..<end, into: &buffer) == Int(end - start) else { throw ChannelError.eof }
                    return buffer
                }.get()
            }
        }
    }

    /// One buffer is fetched while the one before it is written. All on the event loop: waking another thread for every
    /// buffer costs more than moving its bytes.
    private func relay(_ next: @escaping @Sendable () async throws -> ByteBuffer?) -> EventLoopFuture<Void> {
        let loop = context.eventLoop
        let this = NIOLoopBound(self, eventLoop: loop)
        let sent = loop.makePromise(of: Void.self)
        Task(executorPreference: EventLoopExecutor(loop)) {
            do {
                var written = loop.makeSucceededVoidFuture()
                while let buffer = try await next() {
                    try await written.get()
                    written = this.value.write(buffer)
                }
                try await written.get()
                sent.succeed()
            } catch {
                sent.fail(error)
            }
        }
        return sent.futureResult
    }

    /// Writes a buffer; of a stream in frames, each of which tells when its client has opened the window for it.
    private func write(_ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        var rest = buffer
        var written: EventLoopFuture<Void>
        repeat {
            let count = isStream ? min(Self.frameByteCount, rest.readableBytes) : rest.readableBytes
            let promise = context.eventLoop.makePromise(of: Void.self)
            written = promise.futureResult
            written.assumeIsolated().whenSuccess(onProgress)
            context.write(NIOAny(HTTPResponsePart.body(rest.readSlice(length: count) ?? rest)), promise: promise)
        } while rest.readableBytes > 0
        context.flush()
        return written
    }
}
