// Deletes objects that nothing speaks of any more, on any number of nodes at once.

public import BlobCore
import BlobStorage
import Foundation
import Logging
import PostgresPool
import S3Client
import Synchronization

extension CloudByteStore {
    private static let batchSize: Int64 = 1000
    /// For how long a node has the objects to itself that it is about to delete.
    private static let lease = Duration.seconds(600)

    public func sweep() async throws(BlobError) -> Int {
        var count = 0
        while !Task.isCancelled {
            let removed = try await database.only(
                "SELECT sweep_contents($1, $2)", [.milliseconds(retention.restoreWindow), .integer(Self.batchSize)],
                isRepeatable: true
            ) { row throws(PostgresError) in try row.integer(0) }
            if removed < Self.batchSize { break }
        }
        while !Task.isCancelled {
            let released = try await database.rows(
                "SELECT * FROM take_released($1, $2, $3)",
                [.milliseconds(retention.restoreWindow), .milliseconds(Self.lease), .integer(Self.batchSize)],
                as: ObjectKey.init(row:)
            )
            let deleted = try await delete(released)
            try await forget(deleted)
            count += deleted.count
            if deleted.isEmpty { break }
        }
        // The database's time: that of a node may be wrong, and make objects old that are about to get their rows.
        let now = try await database.only("SELECT now_ms()", [], isRepeatable: true) { row throws(PostgresError) in
            try row.time(0)
        }
        let oldest = now.addingTimeInterval(-(retention.strayAge / .seconds(1)))
        count += try await deleteStrays(before: oldest)
        return try await count + abortStrays(before: oldest)
    }

    /// - Returns: those that are gone.
    private func delete(_ keys: [ObjectKey]) async throws(BlobError) -> [ObjectKey] {
        guard !keys.isEmpty else { return [] }
        let failures: [String: S3Error]
        do throws(S3Error) {
            failures = try await bucket.delete(keys.map(\.text))
        } catch {
            throw refusal(error)
        }
        if let failure = failures.first {
            logger.error(
                "objects cannot be deleted now; trying again later",
                metadata: ["count": "\(failures.count)", "key": "\(failure.key)", "error": "\(failure.value)"]
            )
        }
        return keys.filter { failures[$0.text] == nil }
    }

    private func forget(_ keys: [ObjectKey]) async throws(BlobError) {
        guard !keys.isEmpty else { return }
        try await database.run("SELECT forget_released($1, $2)", Self.columns(of: keys), isRepeatable: true)
    }

    private static func columns(of keys: [ObjectKey]) -> [PostgresValue] {
        [.uuids(keys.map(\.upload)), .texts(keys.map(\.name))]
    }
}

/// Where a node looks for objects without a row.
final class StraySearch: Sendable {
    /// Keys that one sweep looks at, so that it ends: some seconds of lists. Objects without a row are rare, and the
    /// search for them may take its time: a node has looked at a billion objects in five weeks.
    static let keysPerSweep = 100_000

    /// Anywhere at first: a node that is started often must not look at the same objects each time.
    private let position = Mutex(ObjectKey.prefix + UUID().uuidString.lowercased())

    /// The key after which to go on.
    var start: String { position.withLock { $0 } }

    func goOn(after key: String) {
        position.withLock { $0 = key }
    }
}

extension CloudByteStore {
    /// Looks at a share of all objects for those that were written and got no row.
    private func deleteStrays(before oldest: Date) async throws(BlobError) -> Int {
        var (position, seen, count, hasWrapped) = (strays.start, 0, 0, false)
        while seen < StraySearch.keysPerSweep, !Task.isCancelled {
            let page = try await listed(after: position)
            seen += page.entries.count
            let candidates = page.entries.filter { $0.lastModified < oldest }.compactMap { ObjectKey(parsing: $0.key) }
            count += try await delete(try await unknown(among: candidates)).count
            if let last = page.entries.last, page.isTruncated {
                position = last.key
            } else if hasWrapped {
                break
            } else {
                (position, hasWrapped) = (ObjectKey.prefix, true)
            }
        }
        strays.goOn(after: position)
        return count
    }

    /// Multipart uploads that a node began and did not complete, of the oldest keys.
    private func abortStrays(before oldest: Date) async throws(BlobError) -> Int {
        do throws(S3Error) {
            let uploads = try await bucket.listMultipartUploads(prefix: ObjectKey.prefix).entries
            let strays = uploads.filter { $0.initiated < oldest }
            for stray in strays { try await bucket.abortMultipartUpload(stray.upload) }
            return strays.count
        } catch {
            throw refusal(error)
        }
    }

    private func listed(after key: String) async throws(BlobError) -> S3Page {
        do throws(S3Error) {
            return try await bucket.list(prefix: ObjectKey.prefix, after: key, limit: 1000)
        } catch {
            throw refusal(error)
        }
    }

    func unknown(among keys: [ObjectKey]) async throws(BlobError) -> [ObjectKey] {
        guard !keys.isEmpty else { return [] }
        return try await database.rows(
            "SELECT * FROM unknown_objects($1, $2)", Self.columns(of: keys), as: ObjectKey.init(row:)
        )
    }
}
