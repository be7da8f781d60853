// One download, whatever breaks on the way.

import AsyncHTTPClient
import BlobCore
import NIOCore

/// Asks for missing bytes until all are here, and compares them with their digest.
///
/// With several streams, it asks for the next pieces in requests of their own while one comes, and takes them in their
/// order: the bytes written are always the beginning, and the memory for the others is bounded.
struct DownloadRun {
    private let calls: Calls
    private let digest: BlobDigest
    /// The range that is asked for, where that is not all.
    private let part: Range<Int64>?
    /// Of the bytes that are here, from the part's first on.
    private var received: CountingDigest
    private let tell: @Sendable (TransferEvent) -> Void
    private let write: @Sendable (ByteBuffer) async throws -> Void
    /// Drops the bytes that are here; `nil` where they cannot be dropped.
    private let clear: (@Sendable () async throws -> Void)?
    /// Checks that there is room for so many more bytes.
    private let requireRoom: (@Sendable (Int64) async throws -> Void)?
    private let streams: Int
    private let unannouncedByteLimit: Int64
    private var attempts: Attempts
    /// The size of the blob as the first answer announced it. It never changes: another one is a server's way to send
    /// more and more.
    private var announced: Int64?
    /// Whether all the bytes here came in this run.
    private var isFresh: Bool

    /// Bytes that are hashed and written together.
    private static let stepByteCount = 512 << 10
    /// Bytes of a request, where there are several at a time. They are held in memory.
    static let segmentByteCount: Int64 = 8 << 20

    init(
        calls: Calls, digest: BlobDigest, part: Range<Int64>? = nil, configuration: BlobServiceClient.Configuration,
        received: CountingDigest, tell: @escaping @Sendable (TransferEvent) -> Void,
        write: @escaping @Sendable (ByteBuffer) async throws -> Void, clear: (@Sendable () async throws -> Void)?,
        requireRoom: (@Sendable (Int64) async throws -> Void)? = nil
    ) {
        (self.calls, self.digest, self.part, self.received) = (calls, digest, part, received)
        (self.tell, self.write, self.clear, self.requireRoom) = (tell, write, clear, requireRoom)
        (streams, unannouncedByteLimit) = (configuration.downloadStreams, configuration.unannouncedByteLimit)
        attempts = Attempts(configuration.retries)
        isFresh = received.count == 0
    }

    /// The offset of the next byte in the blob.
    private var position: Int64 { (part?.lowerBound ?? 0) + received.count }

    mutating func run() async throws {
        while true {
            do {
                if try await receive() { return }
            } catch {
                try await attempts.pause(after: error, tell: tell)
            }
        }
    }

    /// - Returns: whether all is here, and right.
    private mutating func receive() async throws -> Bool {
        let segmentEnd = streams > 1 ? position + Self.segmentByteCount : nil
        let asked = [part?.upperBound, segmentEnd].compactMap { $0 }.min()
        let blob = try await calls.download(digest, from: position, to: asked)
        guard part == nil || blob.body != nil else { throw BlobClientError.unexpectedAnswer("it has no bytes there") }
        try await check(blob)
        let end = [part?.upperBound, blob.size].compactMap { $0 }.min()
        tell(.began(at: received.count, size: end.map { $0 - (part?.lowerBound ?? 0) }))
        if blob.isPart, let asked, let end, asked < end {
            try await take(blob, to: asked, andThenTo: end)
        } else {
            try await take(blob, to: [end, blob.end].compactMap { $0 }.min())
        }
        if let end, position < end { throw BlobClientError.connection("the connection broke") }
        if part != nil || received.digest == digest { return true }
        let wrong = BlobClientError.wrongDigest(expected: digest, found: received.digest)
        // What an earlier run has left may have been damaged here.
        guard !isFresh, let clear else { throw wrong }
        try await clear()
        (received, isFresh, announced) = (CountingDigest(), true, nil)
        tell(.startingOver(.wrongDigest))
        return false
    }

    /// Refuses more bytes than a blob can have, before the first of them is taken.
    private mutating func check(_ blob: IncomingBlob) async throws {
        guard let size = blob.size, blob.body != nil else { return }
        guard announced ?? size == size else {
            throw BlobClientError.unexpectedAnswer("it announces \(size) bytes, and announced \(announced ?? 0) before")
        }
        announced = size
        try await requireRoom?(min(part?.upperBound ?? size, size) - position)
    }

    /// Takes the bytes of an answer, up to an offset. Without one, they have to end by themselves.
    private mutating func take(_ blob: IncomingBlob, to end: Int64?) async throws {
        guard let body = blob.body else { return }
        // A server without ranges sends all of it.
        var known = position - blob.start
        var step = ByteBuffer()
        var iterator = body.makeAsyncIterator()
        while end.map({ position + Int64(step.readableBytes) < $0 }) ?? true {
            var next: ByteBuffer
            do {
                guard let bytes = try await calls.transport.next(&iterator) else { break }
                next = bytes
            } catch {
                // The bytes that came before it broke are worth keeping.
                try await keep(&step)
                throw error
            }
            let skipped = min(known, Int64(next.readableBytes))
            next.moveReaderIndex(forwardBy: Int(skipped))
            known -= skipped
            let rest = end.map { $0 - position - Int64(step.readableBytes) } ?? .max
            if var wanted = next.readSlice(length: Int(min(rest, Int64(next.readableBytes)))) {
                step.writeBuffer(&wanted)
            }
            if step.readableBytes >= Self.stepByteCount { try await keep(&step) }
            guard end != nil || position + Int64(step.readableBytes) <= unannouncedByteLimit else {
                if isFresh { try await clear?() }
                throw BlobClientError.endless(limit: unannouncedByteLimit)
            }
        }
        try await keep(&step)
    }

    private mutating func keep(_ step: inout ByteBuffer) async throws {
        guard step.readableBytes > 0 else { return }
        try await write(step)
        step.withUnsafeReadableBytes { received.update($0) }
        step = ByteBuffer()
        attempts.progressed()
        tell(.moved(to: received.count))
    }

    // MARK: Several requests at a time

    private mutating func take(_ first: IncomingBlob, to start: Int64, andThenTo end: Int64) async throws {
        var (ahead, next) = ([Task<Segment, Never>](), start)
        defer { ahead.forEach { $0.cancel() } }
        func begin() {
            guard next < end else { return }
            let range = next..<min(end, next + Self.segmentByteCount)
            next = range.upperBound
            ahead.append(Task { [calls, digest] in await Segment(of: digest, range, calls) })
        }
        for _ in 1..<streams { begin() }
        try await take(first, to: start)
        guard position == start else { throw BlobClientError.connection("the connection broke") }
        while !ahead.isEmpty {
            let task = ahead.removeFirst()
            begin()
            var segment = await withTaskCancellationHandler {
                await task.value
            } onCancel: {
                task.cancel()
            }
            try await keep(&segment.bytes)
            if let error = segment.error { throw error }
        }
    }
}

/// A piece of a blob in memory.
private struct Segment: Sendable {
    var bytes = ByteBuffer()
    /// Why there is no more of it.
    var error: (any Error)?

    init(of digest: BlobDigest, _ range: Range<Int64>, _ calls: Calls) async {
        do {
            let blob = try await calls.download(digest, from: range.lowerBound, to: range.upperBound)
            guard blob.isPart, var iterator = blob.body?.makeAsyncIterator() else {
                throw BlobClientError.unexpectedAnswer("it sent parts of the blob before, and does no more")
            }
            while bytes.readableBytes < range.count, var next = try await calls.transport.next(&iterator) {
                bytes.writeBuffer(&next)
            }
            guard bytes.readableBytes == range.count else { throw BlobClientError.connection("the connection broke") }
        } catch {
            self.error = error
        }
    }
}
