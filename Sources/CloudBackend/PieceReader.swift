// Reads the pieces of a blob one after the other, the next one asked for in time.

import BlobCore
import BlobStorage
import Logging
import NIOCore
import S3Client

/// Bytes of several objects as one stream. One caller at a time.
actor PieceReader {
    private let pieces: [Piece]
    private let store: CloudByteStore
    private var index = 0
    private var current: S3Download.AsyncIterator?
    /// Bytes of the current piece that are still to come.
    private var left: Int64 = 0
    private var upcoming: Task<S3Download, any Error>?
    private var first: ByteBuffer?

    /// When so few bytes of a piece are left, the next one is asked for.
    private static let readAhead: Int64 = 4 << 20

    init(_ pieces: [Piece], in store: CloudByteStore) {
        self.pieces = pieces
        self.store = store
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
        do {
            while true {
                if var bytes = current, let buffer = try await bytes.next() {
                    current = bytes
                    left -= Int64(buffer.readableBytes)
                    if left <= Self.readAhead { askForNext() }
                    return buffer
                }
                guard try await begin() else { return nil }
            }
        } catch let error as S3Error {
            throw store.reading(error)
        } catch {
            throw store.unavailable(error)
        }
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
        left = pieces[index - 1].byteCount
        current = download.makeAsyncIterator()
        return true
    }

    private func askForNext() {
        guard upcoming == nil, index < pieces.count else { return }
        let piece = pieces[index]
        index += 1
        upcoming = Task { [bucket = store.bucket] in try await bucket.get(piece.key, range: piece.requestedRange) }
    }
}
