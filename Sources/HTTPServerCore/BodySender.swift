// Sends an answer's body the cheapest way that the connection allows.

import NIOCore
import NIOHTTPTypes
import NIOPosix

/// Writes a body after its head. Belongs to the connection's event loop.
struct BodySender {
    /// A body of which everything is at hand: from here on only the connection can fail.
    enum Prepared {
        case empty
        case buffer(ByteBuffer)
        /// Has a descriptor of its own, which is closed when the body was sent.
        case region(FileRegion)
        case stream(@Sendable () async throws -> ByteBuffer?)
    }

    let context: ChannelHandlerContext
    /// Where file regions can be written; `nil` where they cannot.
    let regionContext: ChannelHandlerContext?
    let fileIO: NonBlockingFileIO
    /// Called when the connection has taken a chunk of several.
    let onChunk: (() -> Void)?

    /// Up to this size, copying bytes out of the page cache costs less than setting up a `sendfile`.
    private static let smallByteCount: Int64 = 64 * 1024
    /// The size of a read from a file whose bytes must pass through TLS or HTTP/2.
    static let chunkByteCount = 256 * 1024

    /// Gets a body ready to be sent.
    ///
    /// - Returns: `nil` when the process is out of descriptors.
    func prepare(_ body: Response.Body) -> Prepared? {
        switch body {
        case .empty: return .empty
        case .buffer(let buffer): return .buffer(buffer)
        case .file(let file, let range):
            guard !range.isEmpty else { return .empty }
            if range.count <= Self.smallByteCount {
                var buffer = context.channel.allocator.buffer(capacity: range.count)
                if file.readCached(range, into: &buffer) { return .buffer(buffer) }
            }
            guard let handle = try? file.makeHandle() else { return nil }
            return .region(
                FileRegion(fileHandle: handle, readerIndex: Int(range.lowerBound), endIndex: Int(range.upperBound))
            )
        case .stream(let next, _): return .stream(next)
        }
    }

    /// Writes the body. The future succeeds when no more of it has to be produced.
    func send(_ body: Prepared) -> EventLoopFuture<Void> {
        switch body {
        case .empty:
            return context.eventLoop.makeSucceededVoidFuture()
        case .buffer(let buffer):
            let part = NIOAny(HTTPResponsePart.body(buffer))
            // A client that asks again and again and takes nothing must not let its answers pile up here.
            guard context.channel.isWritable else { return context.writeAndFlush(part) }
            context.write(part, promise: nil)
            return context.eventLoop.makeSucceededVoidFuture()
        case .region(let region):
            let sent = regionContext.map { send(region, in: $0) } ?? stream(region)
            // The bytes were read, not written: an error of close() has nothing to tell.
            return sent.always { _ in try? region.fileHandle.close() }
        case .stream(let next):
            return relay(next)
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

    private func write(_ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        let promise = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(NIOAny(HTTPResponsePart.body(buffer)), promise: promise)
        if let onChunk { promise.futureResult.assumeIsolated().whenSuccess(onChunk) }
        return promise.futureResult
    }

    /// The kernel moves the bytes from the page cache to the socket.
    private func send(_ region: FileRegion, in regionContext: ChannelHandlerContext) -> EventLoopFuture<Void> {
        regionContext.writeAndFlush(NIOAny(IOData.fileRegion(region)))
    }

    /// Chunks are read on a thread, one ahead of the socket.
    private func stream(_ region: FileRegion) -> EventLoopFuture<Void> {
        let loop = context.eventLoop
        let previous = NIOLoopBoundBox(loop.makeSucceededVoidFuture(), eventLoop: loop)
        let this = NIOLoopBound(self, eventLoop: loop)
        return fileIO.readChunked(
            fileRegion: region, chunkSize: Self.chunkByteCount, allocator: context.channel.allocator, eventLoop: loop
        ) { buffer in
            let written = this.value.write(buffer)
            defer { previous.value = written }
            return previous.value
        }.flatMap { previous.value }
    }
}
