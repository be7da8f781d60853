// Requests of HTTP/1.1, from the bytes of a connection.

import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Bytes in, parts of requests out, one at a time. It knows nothing of a connection.
struct RequestDecoder {
    private enum State {
        case head(HeadScanner)
        case body(left: Int64)
        case chunks(ChunkedBody)
        /// The bytes of the body have been handed on, and its end has not.
        case end(HTTPFields?)
        /// Everything before the fault has been handed on.
        case failing(Refusal)
        case failed
    }

    /// Up to this size, copying the data of a chunk costs less than handing it on by itself. So many bytes of smaller
    /// ones make a part, with their sizes.
    private static let smallByteCount = 4 * 1024

    private let isSecure: Bool
    private var state = State.head(HeadScanner())
    /// What has come and is not taken apart yet.
    private var buffer = ByteBuffer()

    init(isSecure: Bool) {
        self.isSecure = isSecure
    }

    var holdsBytes: Bool { buffer.readableBytes > 0 }

    /// Whether bytes of a head are here whose end is not.
    var hasBegun: Bool { if case .head = state { holdsBytes } else { false } }

    /// Whether all of a request has been handed on but its end.
    var isAtEnd: Bool { if case .end = state { true } else { false } }

    /// Takes in what has come. Behind what was no request, nothing is.
    mutating func add(_ bytes: ByteBuffer) {
        if case .failed = state { return }
        var bytes = bytes
        if holdsBytes { buffer.writeBuffer(&bytes) } else { buffer = bytes }
    }

    /// The next part; `nil` until more bytes come.
    ///
    /// - Throws: ``Refusal`` where they are no request of HTTP/1.1; there is no next part then.
    mutating func next() throws(Refusal) -> HTTPRequestPart? {
        // Empty, it would hold on to the memory of a whole read.
        defer { if !holdsBytes { buffer = ByteBuffer() } }
        do throws(Refusal) {
            return try part()
        } catch {
            (state, buffer) = (.failed, ByteBuffer())
            throw error
        }
    }

    private mutating func part() throws(Refusal) -> HTTPRequestPart? {
        switch state {
        case .head(let scanner): return try nextHead(scanner)
        case .body(let left):
            guard buffer.readableBytes > 0 else { return nil }
            let count = Int(min(left, Int64(buffer.readableBytes)))
            state = Int64(count) == left ? .end(nil) : .body(left: left - Int64(count))
            return buffer.readSlice(length: count).map(HTTPRequestPart.body)
        case .chunks(let chunks): return try nextChunks(chunks)
        case .end(let trailers):
            state = .head(HeadScanner())
            return .end(trailers)
        case .failing(let refusal): throw refusal
        case .failed: return nil
        }
    }

    private mutating func nextHead(_ scanner: HeadScanner) throws(Refusal) -> HTTPRequestPart? {
        var scanner = scanner
        // RFC 9112 §2.2: an empty line behind a body that it does not belong to.
        while buffer.readableBytesView.starts(with: "\r\n".utf8) { buffer.moveReaderIndex(forwardBy: 2) }
        guard !buffer.readableBytesView.elementsEqual("\r".utf8) else { return nil }
        guard let count = try scanner.end(in: buffer.readableBytesUInt8Span) else {
            state = .head(scanner)
            return nil
        }
        let head = try RequestHead(
            parsing: buffer.readableBytesUInt8Span.extracting(..<count), isSecure: isSecure
        )
        buffer.moveReaderIndex(forwardBy: count)
        state =
            switch head.body {
            case .none: .end(nil)
            case .length(let length): .body(left: length)
            case .chunked: .chunks(ChunkedBody())
            }
        return .head(head.request)
    }

    /// The data of the chunks that are here, small ones joined, so that a client that sends a byte in each costs little
    /// more than one that does not.
    private mutating func nextChunks(_ chunks: ChunkedBody) throws(Refusal) -> HTTPRequestPart? {
        var chunks = chunks
        var position = 0
        var data: ByteBuffer?
        do throws(Refusal) {
            while position < Self.smallByteCount,
                let range = try chunks.next(in: buffer.readableBytesUInt8Span, at: &position),
                var slice = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count)
            {
                if data == nil { data = slice } else { data?.writeBuffer(&slice) }
            }
            buffer.moveReaderIndex(forwardBy: position)
            state = chunks.isComplete ? .end(try chunks.trailers()) : .chunks(chunks)
        } catch {
            // The chunks before it are whole.
            state = .failing(error)
        }
        if let data { return .body(data) }
        if case .chunks = state { return nil }
        return try part()
    }
}
