// What the caller has on the server, so that it need not be sent again.

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

    private let server: BlobServer
    private let reporter: TransferReporter
    private let now: @Sendable () -> Date
    private let listing = Mutex<Task<[BlobDigest: Life], any Error>?>(nil)

    init(on server: BlobServer, reporter: TransferReporter, now: @escaping @Sendable () -> Date = { Date() }) {
        (self.server, self.reporter, self.now) = (server, reporter, now)
    }

    /// A blob that one of the caller's files keeps for as long as a new file would, within reason: a permanent file, or
    /// for a temporary one also a file with half of its life before it. `nil` when it has to be uploaded, which also
    /// heals a blob that is damaged.
    func blob(_ digest: BlobDigest, isTemporary: Bool) async throws -> BlobInfo? {
        guard let life = try await lives()[digest] else { return nil }
        if let expires = life.expires {
            let rest = expires.timeIntervalSince(now())
            guard isTemporary, rest >= expires.timeIntervalSince(life.created) / 2 else { return nil }
        }
        do {
            return try await server.blob(digest)
        } catch BlobServerError.refused(let refusal) where refusal.code == BlobError.Code.blobCorrupt.name {
            return nil
        }
    }

    private func lives() async throws -> [BlobDigest: Life] {
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

    /// The longest life of each digest. A file that is missed, as can happen on a server without cursors, is sent once
    /// more.
    private func list() async throws -> [BlobDigest: Life] {
        var lives: [BlobDigest: Life] = [:]
        var query = FileQuery()
        query.order = .createdAt
        do {
            for try await page in server.filePages(query) {
                guard let subject = page.subject else {
                    reporter.warn("the server does not tell whose the files are that it lists: all are uploaded")
                    return [:]
                }
                for file in page.items where file.owner == subject { Self.add(file, to: &lives) }
            }
            return lives
        } catch BlobServerError.refused(let refusal) where [403, 404].contains(refusal.status) {
            reporter.warn("your files on the server cannot be listed, so all are uploaded: \(refusal)")
            return [:]
        }
    }

    private static func add(_ file: StoredFile, to lives: inout [BlobDigest: Life]) {
        guard let digest = file.digest.flatMap({ try? BlobDigest(parsing: $0) }), let created = file.createdAt,
            file.isTemporary == false || file.expiresAt != nil
        else { return }
        let life = Life(created: created, expires: file.expiresAt)
        let known = lives[digest].map { $0.expires ?? .distantFuture }
        if (life.expires ?? .distantFuture) > known ?? .distantPast { lives[digest] = life }
    }
}
