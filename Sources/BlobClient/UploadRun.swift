// One upload from its first byte to its file, whatever breaks on the way.

import BlobCore
import NIOCore

/// What an upload is to become.
public struct UploadOptions: Sendable, Equatable {
    /// The name of the file on the server; `nil` for the name of the file that is uploaded, or that of the digest.
    public var name: String?
    /// Whether the server may let it go after a time.
    public var isTemporary: Bool
    /// Where the file lay in the folder that it came from: names with `/` between them, such as `2026/may/call.wav`. A
    /// server that keeps it tells it in ``StoredFile/path``; others do not look at it.
    public var path: String?

    public init(name: String? = nil, isTemporary: Bool = false, path: String? = nil) {
        self.name = name
        self.isTemporary = isTemporary
        self.path = path
    }
}

/// Sends a source's bytes in pieces. After every failure it asks the server how far they came, and goes on from there.
///
/// The last piece goes with the completion when it is small, so that a small file takes two requests. Whatever the
/// server says on the way: at the end its file has the digest of the bytes that were read, or there is an error.
struct UploadRun {
    /// The next step.
    private enum Phase {
        case begin
        /// The server's view is asked for: something broke.
        case ask
        case send
        /// The upload is gone: it was completed, and the answer lost, or it was forgotten.
        case confirm
    }

    private let calls: Calls
    private let source: any UploadSource
    private let options: UploadOptions
    private let configuration: BlobServiceClient.Configuration
    private let record: JournalRecord?
    private let tell: @Sendable (TransferEvent) -> Void

    private var phase = Phase.begin
    private var upload: UploadStatus?
    private var attempts: Attempts
    /// Whether bytes have gone to the upload.
    private var hasSent = false
    /// What the server was asked to complete the upload as.
    private var completion: BlobDigest?
    private var timesStartedOver = 0
    /// The highest number of bytes that was safe on the server since the upload began. Only bytes beyond it are
    /// progress: a server that loses the same bytes again and again is not tried for ever.
    private var furthest: Int64 = 0

    /// The largest piece that goes with the completion. It is held in memory.
    static let lastPieceByteCount: Int64 = 4 << 20
    /// How often the same bytes may be sent from the first on, because the server lost or changed them.
    private static let startingOverLimit = 3

    /// - Parameter record: what an earlier run has left, and where this one notes how far it has come.
    init(
        calls: Calls, source: any UploadSource, options: UploadOptions, configuration: BlobServiceClient.Configuration,
        record: JournalRecord? = nil, tell: @escaping @Sendable (TransferEvent) -> Void
    ) {
        (self.calls, self.source, self.options, self.configuration) = (calls, source, options, configuration)
        (self.record, self.tell) = (record, tell)
        attempts = Attempts(configuration.retries)
    }

    mutating func run() async throws -> StoredFile {
        while true {
            do {
                guard var file = try await step() else { continue }
                file.size = file.size ?? source.size
                file.name = file.name ?? options.name
                return file
            } catch {
                do {
                    try await recover(from: error)
                } catch {
                    await giveUp(after: error)
                    throw error
                }
            }
        }
    }

    /// - Returns: the file, when the upload is complete.
    private mutating func step() async throws -> StoredFile? {
        switch phase {
        case .begin: try await begin()
        case .ask: try await ask()
        case .confirm: return try await confirm()
        case .send:
            guard let upload else { preconditionFailure("bytes are sent to an upload") }
            let (count, isLast) = try await source.available(from: upload.offset, limit: pieceLimit(upload))
            if isLast && count <= Self.lastPieceByteCount { return try await complete(upload, count) }
            try await append(isLast ? count - Self.lastPieceByteCount : count, to: upload)
        }
        return nil
    }

    /// A server that tells exact offsets keeps what it received when a connection breaks; of others nothing is known.
    private func pieceLimit(_ upload: UploadStatus) -> Int64 {
        upload.isOffsetExact && source is FileSource
            ? configuration.appendByteCount : configuration.smallAppendByteCount
    }

    // MARK: Steps

    private mutating func begin() async throws {
        if let id = record?.upload {
            hasSent = true
            try await take(settled(calls.status(of: id)))
        } else {
            hasSent = false
            let upload = try await calls.initiate(options)
            record?.began(upload.id)
            try await take(upload)
        }
        if let upload {
            furthest = upload.offset
            tell(.began(at: upload.offset, size: source.size))
        }
    }

    private mutating func ask() async throws {
        guard let known = upload else { return phase = .begin }
        let now = try await settled(known)
        reached(now.offset)
        try await take(now)
        tell(.moved(to: now.offset))
    }

    /// How far the upload has come, when nothing of it is on its way any more.
    ///
    /// A server may still be receiving the bytes of a broken connection; a piece that is sent before they have come to
    /// an end would be refused, and sent twice. With blobd, an empty append ends the one that is still running.
    private func settled(_ known: UploadStatus) async throws -> UploadStatus {
        guard known.isOffsetExact else { return try await calls.status(of: known.id) }
        do {
            return try await calls.append(OutgoingPiece(bytes: .buffer(ByteBuffer())), to: known)
        } catch BlobClientError.refused(let refusal) where [409, 416].contains(refusal.status) {
            return try await calls.status(of: known.id)
        }
    }

    /// Goes on from what the server told.
    private mutating func take(_ now: UploadStatus) async throws {
        if hasSent && !now.isOffsetExact && now.offset == 0 {
            // Nothing or one byte: to find out would cost more than that byte.
            try? await calls.destroy(now.id)
            return try startOver(.uploadLost, isLoss: furthest > 0)
        }
        // More than was sent: it is somebody else's work, or a server's error.
        if let size = source.size, now.offset > size { return try startOver(.wrongDigest) }
        upload = now
        phase = .send
        source.release(before: now.offset)
    }

    private mutating func append(_ count: Int64, to upload: UploadStatus) async throws {
        let end = upload.offset + count
        let body = PieceBody(source: source, range: upload.offset..<end) { [tell] in tell(.moved(to: $0)) }
        (phase, hasSent) = (.ask, true)
        let piece = OutgoingPiece(
            bytes: .source(body, count: count), guardedOffset: upload.isOffsetExact ? upload.offset : nil)
        let now = try await calls.append(piece, to: upload)
        // A server that tells something else has to be asked. That counts as a try.
        guard now.offset == end || !now.isOffsetExact && end == 1 else {
            throw BlobClientError.connection("the server kept \(now.offset) bytes, and not \(end)")
        }
        phase = .send
        self.upload?.offset = end
        reached(end)
        source.release(before: end)
    }

    private mutating func reached(_ offset: Int64) {
        guard offset > furthest else { return }
        furthest = offset
        attempts.progressed()
    }

    private mutating func complete(_ upload: UploadStatus, _ count: Int64) async throws -> StoredFile {
        var bytes = ByteBuffer()
        while Int64(bytes.readableBytes) < count {
            let position = upload.offset + Int64(bytes.readableBytes)
            let part = try await source.read(at: position, count: Int(count) - bytes.readableBytes)
            bytes.writeImmutableBuffer(part)
        }
        let digest = try await source.wholeDigest()
        (phase, hasSent, completion) = (.ask, true, digest)
        let piece = OutgoingPiece(bytes: .buffer(bytes), guardedOffset: upload.isOffsetExact ? upload.offset : nil)
        let file = try await calls.complete(upload, with: piece, digest: digest)
        if let size = source.size { tell(.moved(to: size)) }
        return file
    }

    private mutating func confirm() async throws -> StoredFile? {
        guard let upload, let completion else { return nil }
        do {
            return try await calls.complete(
                upload, with: OutgoingPiece(bytes: .buffer(ByteBuffer())), digest: completion)
        } catch BlobClientError.refused(let refusal) where refusal.status == 404 {
            // A server that does not repeat its answer.
            if try await calls.blob(completion) != nil { return StoredFile(digest: completion) }
            try startOver(.uploadLost)
            return nil
        }
    }

    // MARK: When something fails

    private mutating func recover(from error: any Error) async throws {
        if Task.isCancelled { throw CancellationError() }
        guard case BlobClientError.refused(let refusal) = error else {
            return try await attempts.pause(after: error, tell: tell)
        }
        switch refusal.status {
        case 409, 416:
            // The bytes belong elsewhere. That counts as a try, so that two who quarrel about an upload come to an end.
            try await attempts.pause(after: BlobClientError.connection("\(refusal)"), tell: tell)
        case 404 where upload != nil && completion != nil: phase = .confirm
        case 404 where upload != nil || record?.upload != nil, 410: try startOver(.uploadLost, or: error)
        // The reference API gives errors no names.
        case 400 where completion != nil && ["", ErrorCode.digestInvalid.rawValue].contains(refusal.code):
            if let upload { try? await calls.destroy(upload.id) }
            try startOver(.wrongDigest, or: error)
        default: try await attempts.pause(after: error, tell: tell)
        }
    }

    /// Lets go of an upload that no later run will go on with, so that it is none of those that the caller has open.
    private func giveUp(after error: any Error) async {
        let mayGoOn =
            switch error {
            case is CancellationError, BlobClientError.connection, BlobClientError.untrusted: true
            case BlobClientError.refused(let refusal): refusal.isPassing || refusal.isOfToken
            case BlobClientError.unexpectedAnswer: true
            default: false
            }
        guard let id = upload?.id, !mayGoOn || record == nil, !Task.isCancelled else { return }
        record?.forget()
        // Otherwise the server removes it when its time has come.
        try? await calls.destroy(id)
    }

    /// - Parameters:
    ///   - isLoss: whether bytes were lost that had been safe. Otherwise the tries that led here are counted already.
    ///   - error: thrown when that has happened too often.
    private mutating func startOver(
        _ reason: StartingOver, isLoss: Bool = true,
        or error: any Error = BlobClientError.unexpectedAnswer("its offsets are not those of this file")
    ) throws {
        if isLoss { timesStartedOver += 1 }
        guard timesStartedOver < Self.startingOverLimit else { throw error }
        try source.rewind()
        record?.forget()
        (phase, upload, completion, furthest) = (.begin, nil, nil, 0)
        tell(.startingOver(reason))
    }
}
