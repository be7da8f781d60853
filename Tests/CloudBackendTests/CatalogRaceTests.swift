// Several nodes on one database at the same time: whatever the order, the rows agree with each other.

import BlobCore
import BlobStorage
import BlobStorageTesting
import CloudBackend
import Foundation
import PostgresPool
import Testing

@Suite(.timeLimit(.minutes(10))) struct CatalogRaceTests {
    private static let owners = [Subject("ann"), Subject("bob"), Subject("carl")]

    /// Two nodes on one schema.
    private static func withNodes(_ body: ([CloudCatalog]) async throws -> Void) async throws {
        try await TestSchema.with { schema in
            try await schema.withPool { first in
                try await schema.withPool { second in
                    try await body([CloudCatalog(pool: first), CloudCatalog(pool: second)])
                }
            }
        }
    }

    /// A reclaimer's work, without any grace.
    private static func reclaim(_ catalog: CloudCatalog) async throws {
        _ = try await catalog.removeExpired(limit: 5)
        for digest in try await catalog.dyingBlobs(for: .zero, limit: 10) {
            _ = try await catalog.removeBlob(digest, dyingFor: .zero)
        }
    }

    /// Few contents, so that all meet at the same blobs: completed, destroyed, expired and removed at once.
    @Test func completionsBesideRemovals() async throws {
        try await Self.withNodes { nodes in
            try await withThrowingTaskGroup(of: Void.self) { reclaimers in
                for catalog in nodes {
                    reclaimers.addTask { while !Task.isCancelled { try await Self.reclaim(catalog) } }
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<12 { group.addTask { try await Self.addAndDestroy(worker, on: nodes) } }
                    try await group.waitForAll()
                }
                reclaimers.cancelAll()
                try await reclaimers.waitForAll()
            }
            try await Self.checkEnd(nodes[0])
        }
    }

    private static func addAndDestroy(_ worker: Int, on nodes: [CloudCatalog]) async throws {
        let (catalog, other) = (nodes[worker % 2], nodes[(worker + 1) % 2])
        let owner = owners[worker % 3]
        var generator = SplitMix64(seed: UInt64(worker))
        for _ in 0..<60 {
            let content = "content \(Int.random(in: 0..<3, using: &generator))"
            let isExpired = Bool.random(using: &generator)
            let expires = isExpired ? Date(timeIntervalSince1970: 1) : nil
            let file = try await catalog.add(content, owner: owner, expires: expires)
            if isExpired { continue }
            // 201, and at once it is there for everybody.
            #expect(try await other.blob(file.digest) != nil)
            if Int.random(in: 0..<8, using: &generator) > 0 { try await catalog.destroyFile(file.id, of: owner) }
        }
    }

    /// When all is destroyed and reclaimed, nothing is left.
    private static func checkEnd(_ catalog: CloudCatalog) async throws {
        let faults = try await catalog.faults()
        #expect(faults == [])
        for file in try await catalog.files(FileQuery(top: 10_000)).items {
            #expect(try await catalog.blob(file.digest)?.size == file.size)
            try await catalog.destroyFile(file.id, of: file.owner)
        }
        while try await catalog.statistics() != Statistics() { try await reclaim(catalog) }
        for owner in owners {
            let usage = try await catalog.usage(of: owner)
            // The rows of completed uploads stay.
            #expect(usage.charge == 0 && usage.letGo == 4 * 60 * Charge.rows, "\(usage)")
        }
        #expect(try await catalog.faults() == [])
    }

    /// Many owners' files expire, and two nodes reclaim them: each row once, and no deadlock.
    @Test func reclaimersShareTheWork() async throws {
        try await Self.withNodes { nodes in
            for number in 0..<60 {
                let owner = Subject("owner \(number % 11)")
                _ = try await nodes[0].add(
                    "content \(number % 7)", owner: owner, expires: Date(timeIntervalSince1970: 1)
                )
            }
            let removed = try await withThrowingTaskGroup(of: Int.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        var count = 0
                        while try await nodes[0].statistics().files > 0 {
                            count += try await nodes[worker % 2].removeExpired(limit: 3).fileCount
                        }
                        return count
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(removed == 60)
            #expect(try await nodes[1].faults() == [])
        }
    }

    @Test func claimsOfTwoNodesAllDiffer() async throws {
        try await Self.withNodes { nodes in
            let upload = try await nodes[0].start()
            let epochs = try await withThrowingTaskGroup(of: Int64.self) { group in
                for number in 0..<100 {
                    group.addTask { try await nodes[number % 2].lease(of: upload).epoch }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(epochs.count == 100)
            let next = try await nodes[0].lease(of: upload).epoch
            #expect(next > epochs.max() ?? .max)
        }
    }

    /// Of all changes that two nodes try with one claim, one succeeds.
    @Test func completionOrDestructionWins() async throws {
        try await Self.withNodes { nodes in
            for _ in 0..<20 {
                let lease = try await nodes[0].lease(of: try await nodes[0].start())
                let successes = await withTaskGroup(of: Bool.self) { group in
                    for number in 0..<6 {
                        group.addTask {
                            let catalog = nodes[number % 2]
                            do throws(BlobError) {
                                if number < 4 {
                                    _ = try await catalog.complete(
                                        lease, with: RunningDigest(of: "content \(number)".utf8),
                                        expires: lease.upload.expires, fileExpires: nil, quota: nil
                                    )
                                } else {
                                    try await catalog.destroy(lease.id, of: lease.upload.owner)
                                }
                                return true
                            } catch {
                                #expect(error.reason == .uploadUnknown || error.reason == .uploadSuperseded, "\(error)")
                                return false
                            }
                        }
                    }
                    return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(successes == 1)
            }
            #expect(try await nodes[0].faults() == [])
        }
    }

    @Test(arguments: [1, 7, 300])
    func limitHoldsOnTwoNodes(limit: Int) async throws {
        try await Self.withNodes { nodes in
            let count = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<limit + 40 {
                    group.addTask {
                        do throws(BlobError) {
                            _ = try await nodes[number % 2].start(limit: limit)
                            return true
                        } catch  where error.reason == .tooManyUploads(open: Int64(limit)) {
                            return false
                        }
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(count == limit)
            #expect(try await nodes[0].usage(of: Subject("ann")).openUploads == Int64(limit))
        }
    }

    /// A create whose answer was lost is made again: it is recorded once, and not refused because of itself.
    @Test func createCanBeRepeated() async throws {
        try await Self.withNodes { nodes in
            let upload = try await nodes[0].start(limit: 1)
            try await nodes[1].create(upload, openUploadLimit: 1, quota: nil)
            try await nodes[1].create(upload, openUploadLimit: 10, quota: nil)
            #expect(try await nodes[0].usage(of: upload.owner).openUploads == 1)
            let error = await #expect(throws: BlobError.self) { _ = try await nodes[0].start(limit: 1) }
            #expect(error?.reason == .tooManyUploads(open: 1))
        }
    }
}
