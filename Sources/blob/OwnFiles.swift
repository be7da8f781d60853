// The caller's files on the server, which need not be sent again.

import BlobClient
import BlobCore
import Foundation
import Synchronization

/// The caller's own files, listed once, when somebody first asks.
///
/// Only they are a reason to send nothing. A file of somebody else goes when that one wants, and the bytes with it.
final class OwnFiles: Sendable {
    private struct Life {
        var created: Date
        /// `nil` for a permanent file.
        var expires: Date?
    }

    /// Paths are bytes here: two ways to write the same letters are equal as text, and two files on a disk.
    private struct Place: Hashable {
        var path: [UInt8]
        var digest: BlobDigest
    }

    private struct Listing {
        /// The longest life of each digest.
        var lives: [BlobDigest: Life] = [:]
        /// The same of each path, for files that have one.
        var livesAtPlaces: [Place: Life] = [:]
        /// The sizes of the files at each path.
        var sizes: [[UInt8]: Set<Int64>] = [:]
    }

    private let client: BlobServiceClient
    private let query: FileQuery
    private let reporter: TransferReporter
    private let now: @Sendable () -> Date
    private let listing = Mutex<Task<Listing, any Error>?>(nil)

    /// - Parameter text: a text in the name or path of each file that matters.
    init(
        on client: BlobServiceClient, holding text: String? = nil, reporter: TransferReporter,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        (self.client, self.reporter, self.now) = (client, reporter, now)
        var query = FileQuery()
        (query.search, query.order) = (text, .createdAt)
        self.query = query
    }

    /// A blob that one of the caller's files keeps for as long as a new file would, within reason: a permanent file, or
    /// for a temporary one also a file with half of its life before it. `nil` when it has to be uploaded, which also
    /// heals a blob that is damaged.
    ///
    /// - Parameter path: where the file has to lie; `nil` where it does not matter.
    func blob(_ digest: BlobDigest, at path: String? = nil, isTemporary: Bool) async throws -> BlobInfo? {
        let files = try await files()
        let found = path.map { files.livesAtPlaces[Place(path: Array($0.utf8), digest: digest)] } ?? files.lives[digest]
        guard let life = found else { return nil }
        if let expires = life.expires {
            let rest = expires.timeIntervalSince(now())
            guard isTemporary, rest >= expires.timeIntervalSince(life.created) / 2 else { return nil }
        }
        do {
            return try await client.blob(digest)
        } catch BlobClientError.refused(let refusal) where refusal.code == ErrorCode.blobCorrupt.rawValue {
            return nil
        }
    }

    /// Whether a file of that size lies there: otherwise its digest need not be computed.
    func mayHave(_ path: String, size: Int64) async throws -> Bool {
        try await files().sizes[Array(path.utf8)]?.contains(size) ?? false
    }

    private func files() async throws -> Listing {
        let task = listing.withLock { listing in
            if let listing { return listing }
            let task = Task { try await list() }
            listing = task
            return task
        }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// A file that is missed, as can happen on a server without cursors, is sent once more.
    private func list() async throws -> Listing {
        var listing = Listing()
        do {
            for try await page in client.filePages(query) {
                guard let subject = page.subject else {
                    reporter.warn("the server does not tell whose the files are that it lists: all are uploaded")
                    return Listing()
                }
                for file in page.items where file.owner == subject { Self.add(file, to: &listing) }
            }
            return listing
        } catch BlobClientError.refused(let refusal) where [403, 404].contains(refusal.status) {
            reporter.warn("your files on the server cannot be listed, so all are uploaded: \(refusal)")
            return Listing()
        }
    }

    private static func add(_ file: StoredFile, to listing: inout Listing) {
        guard let digest = file.digest.flatMap({ try? BlobDigest(parsing: $0) }), let created = file.createdAt,
            file.isTemporary == false || file.expiresAt != nil
        else { return }
        let life = Life(created: created, expires: file.expiresAt)
        extend(&listing.lives[digest], by: life)
        guard let path = file.path.map({ Array($0.utf8) }), let size = file.size else { return }
        extend(&listing.livesAtPlaces[Place(path: path, digest: digest)], by: life)
        listing.sizes[path, default: []].insert(size)
    }

    private static func extend(_ known: inout Life?, by life: Life) {
        let end = known.map { $0.expires ?? .distantFuture } ?? .distantPast
        if (life.expires ?? .distantFuture) > end { known = life }
    }
}
