// The rules of every catalog, checked on the one in PostgreSQL, and what its tests share.

import BlobCore
import BlobStorage
import BlobStorageTesting
import CloudBackend
import Foundation
import PostgresPool
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(3))) struct CloudCatalogConformanceTests {
    @Test(arguments: CatalogConformance.allCases)
    func conformance(rule: CatalogConformance) async throws {
        try await TestSchema.with { schema in
            try await schema.withPool { pool in
                try await rule.check { clock in CloudCatalog(pool: pool, clock: clock) }
            }
        }
    }

    @Test(arguments: UInt64(1)...20)
    func randomOperations(seed: UInt64) async throws {
        try await TestSchema.with { schema in
            let pools = Mutex<[PostgresPool]>([])
            try await RandomOperations(seed: seed, steps: 400).run(
                againstCatalog: { clock in
                    let pool = try schema.pool(connections: 2)
                    pools.withLock { $0.append(pool) }
                    try await CloudCatalog.migrate(pool)
                    return CloudCatalog(pool: pool, clock: clock)
                },
                closing: { catalog in
                    let faults = try await catalog.faults()
                    #expect(faults == [])
                    await pools.withLock(\.last)?.close()
                }
            )
        }
    }
}

extension CloudCatalog {
    /// Starts an upload of a name.
    func start(
        _ name: String = "report.pdf", owner: Subject = Subject("ann"), limit: Int = .max
    ) async throws(BlobError) -> Upload {
        let upload = Upload(
            id: UploadID(), owner: owner, name: FileName(trusted: name), isTemporary: false,
            expires: Date(timeIntervalSince1970: 4_000_000_000)
        )
        try await create(upload, openUploadLimit: limit)
        return upload
    }

    /// Adds a file that holds a text.
    func add(
        _ text: String, named name: String = "report.pdf", owner: Subject = Subject("ann"), expires: Date? = nil
    ) async throws(BlobError) -> File {
        let upload = try await claim(try await start(name, owner: owner).id)
        return try await complete(
            upload, with: UploadProgress(holding: text), expires: upload.expires, fileExpires: expires
        )
    }
}

extension UploadProgress {
    init(holding text: String) {
        var digest = RunningDigest()
        Array(text.utf8).withUnsafeBytes { digest.update($0) }
        self.init(offset: Int64(text.utf8.count), digest: digest)
    }
}
