// Reads the pieces of a blob one after the other, the next one asked for in time.

import BlobCore
import BlobStorage
import Logging
import NIOCore
import S3Client

/// Bytes of several objects as one stream. One caller at a time.
actor PieceReader {
    /// For whom they are read.
    enum Reader {
        /// Get the bytes of objects that match their rows, and an error otherwise.
        case clients
        /// Looks at whatever is there.
        case verifying
    }

    private let digest: BlobDigest
    private let store: CloudByteStore
    private let reader: Reader
    private let executor: (any TaskExecutor)?
    private var content: StoredContent
    /// Of the blob's bytes, those that are still to come.
    private var rest: Range<Int64>
    private var pieces: [Piece]
    private var index = 0
    private var current: S3Download.AsyncIterator?
    /// Bytes of the current piece that are still to come.
    private var left: Int64 = 0
    private var upcoming: Task<S3Download, any Error>?
    private var first: ByteBuffer?
    /// Of the objects that were begun to be read.
    private(set) var eTags: [String] = []

    /// When so few bytes of a piece are left, the next one is asked for.
    private static let readAhead: Int64 = 4 << 20

    /// - Parameter executor: that of an event loop has the bucket's connections there as well.
    init(
        _ range: Range<Int64>, of digest: BlobDigest, _ content: StoredContent, in store: CloudByteStore,
        for reader: Reader, on executor: (any TaskExecutor)? = nil
    ) {
        self.digest = digest
        self.store = store
        self.reader = reader
        self.executor = executor
        self.content = content
        rest = range
        pieces = content.pieces(in: range)
    }

    deinit {
        upcoming?.cancel()
    }

    /// The bytes, once the first of them are there.
    func started() async throws(BlobError) -> RemoteBytes {
        first = try await next()
        return RemoteBytes { () throws(BlobError) in try await self.next() }
    }

    private func next() async throws(BlobError) -> ByteBuffer? {
        if let first {
            self.first = nil
            return first
        }
        while true {
            do {
                return try await nextOfPieces()
            } catch let error as S3Error {
                try await findAgain(after: error)
            } catch {
                throw store.unavailable(error)
            }
        }
    }

    private func nextOfPieces() async throws -> ByteBuffer? {
        while true {
            if var bytes = current, let buffer = try await bytes.next() {
                current = bytes
                let count = Int64(buffer.readableBytes)
                left -= count
                rest = min(rest.lowerBound + count, rest.upperBound)..<rest.upperBound
                if left <= Self.readAhead { askForNext() }
                return buffer
            }
            guard try await begin() else { return nil }
        }
    }

    /// Goes on with the objects that hold the bytes now: one that is gone may have become a part of another since the
    /// rows were looked at, and others may have come in the place of damaged ones.
    ///
    /// - Throws: ``BlobError/Reason/blobCorrupt`` when nothing has changed; then that is recorded.
    private func findAgain(after error: S3Error) async throws(BlobError) {
        guard error.tellsOfDamage, reader == .clients else { throw store.reading(error) }
        guard let found = try await store.content(of: digest) else {
            // A blob's row that has no bytes any more tells why.
            throw try await store.hasRow(digest) ? store.reading(error) : .bytesUnknown
        }
        guard found.pieces != content.pieces else {
            throw try await store.suspect(content, of: digest, after: error)
        }
        upcoming?.cancel()
        (content, pieces) = (found, found.pieces(in: rest))
        (index, left, current, upcoming) = (0, 0, nil, nil)
    }

    /// Goes on to the next piece; `false` after the last.
    private func begin() async throws -> Bool {
        askForNext()
        guard let upcoming else { return false }
        self.upcoming = nil
        let download = try await withTaskCancellationHandler {
            try await upcoming.value
        } onCancel: {
            upcoming.cancel()
        }
        let piece = pieces[index - 1]
        // One whose ETag nobody knows can be told from another by its size at least.
        if reader == .clients, download.info.size != piece.objectSize {
            throw S3Error(.preconditionFailed, message: "the object has \(download.info.size) bytes")
        }
        left = piece.byteCount
        eTags.append(download.info.eTag)
        current = download.makeAsyncIterator()
        return true
    }

    private func askForNext() {
        guard upcoming == nil, index < pieces.count else { return }
        let piece = pieces[index]
        index += 1
        let eTag = reader == .clients ? piece.eTag : nil
        upcoming = Task(executorPreference: executor) { [bucket = store.bucket] in
            try await bucket.get(piece.key, range: piece.requestedRange, eTag: eTag)
        }
    }
}
