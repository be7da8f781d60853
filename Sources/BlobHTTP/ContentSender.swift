// Sends an answer's body the cheapest way that the connection allows.

import BlobStorage
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOPosix

/// Writes a body after its head. Belongs to the connection's event loop.
struct ContentSender {
    let context: ChannelHandlerContext
    /// Where file regions can be written; `nil` where they cannot.
    let regionContext: ChannelHandlerContext?
    let fileIO: NonBlockingFileIO

    /// Up to this size, copying bytes out of the page cache costs less than setting up a `sendfile`.
    private static let smallByteCount: Int64 = 64 * 1024
    /// What is read from a file at a time where its bytes must pass through TLS or HTTP/2.
    private static let chunkByteCount = 256 * 1024

    /// Writes the body. The future succeeds when no more of it has to be produced.
    func send(_ body: Response.Body) -> EventLoopFuture<Void> {
        let done = context.eventLoop.makeSucceededVoidFuture()
        switch body {
        case .empty: return done
        case .buffer(let buffer):
            write(buffer, promise: nil)
            return done
        case .content(.buffer(let buffer), let range):
            let slice = buffer.getSlice(
                at: buffer.readerIndex + Int(range.lowerBound), length: Int(range.upperBound - range.lowerBound)
            )
            if let slice { write(slice, promise: nil) }
            return done
        case .content(.file(let file), let range):
            return send(file, range)
        }
    }

    private func send(_ file: BlobFile, _ range: Range<Int64>) -> EventLoopFuture<Void> {
        let size = range.upperBound - range.lowerBound
        guard size > 0 else { return context.eventLoop.makeSucceededVoidFuture() }
        if size <= Self.smallByteCount {
            var buffer = context.channel.allocator.buffer(capacity: Int(size))
            if file.readCached(range, into: &buffer) {
                write(buffer, promise: nil)
                return context.eventLoop.makeSucceededVoidFuture()
            }
        }
        let handle: NIOFileHandle
        do {
            handle = try file.makeHandle()
        } catch {
            return context.eventLoop.makeFailedFuture(error)
        }
        let region = FileRegion(
            fileHandle: handle, readerIndex: Int(range.lowerBound), endIndex: Int(range.upperBound)
        )
        let sent = regionContext.map { send(region, in: $0) } ?? stream(region)
        // The bytes were read, not written: an error of close() has nothing to tell.
        return sent.always { _ in try? handle.close() }
    }

    /// The kernel moves the bytes from the page cache to the socket.
    private func send(_ region: FileRegion, in regionContext: ChannelHandlerContext) -> EventLoopFuture<Void> {
        let part = HTTPServerResponsePart.body(.fileRegion(region))
        return regionContext.writeAndFlush(NIOAny(part))
    }

    /// Chunks are read on a thread, one ahead of the socket.
    private func stream(_ region: FileRegion) -> EventLoopFuture<Void> {
        let loop = context.eventLoop
        let previous = NIOLoopBoundBox(loop.makeSucceededVoidFuture(), eventLoop: loop)
        let this = NIOLoopBound(self, eventLoop: loop)
        return fileIO.readChunked(
            fileRegion: region, chunkSize: Self.chunkByteCount, allocator: context.channel.allocator, eventLoop: loop
        ) { buffer in
            let promise = loop.makePromise(of: Void.self)
            this.value.write(buffer, promise: promise)
            this.value.context.flush()
            defer { previous.value = promise.futureResult }
            return previous.value
        }.flatMap { previous.value }
    }

    private func write(_ buffer: ByteBuffer, promise: EventLoopPromise<Void>?) {
        context.write(NIOAny(HTTPResponsePart.body(buffer)), promise: promise)
    }
}
