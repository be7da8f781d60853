// The rules of every catalog, checked on the one in SQLite, and what its tests share.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import LocalBackend
import Testing

@Suite struct LocalCatalogConformanceTests {
    @Test(arguments: CatalogConformance.allCases)
    func conformance(rule: CatalogConformance) async throws {
        let directory = try ScratchDirectory()
        try await rule.check { clock in try LocalCatalog(path: directory.catalog, clock: clock) }
    }

    @Test(arguments: UInt64(1)...20)
    func randomOperations(seed: UInt64) async throws {
        let directory = try ScratchDirectory()
        try await RandomOperations(seed: seed, steps: 400).run(
            againstCatalog: { clock in try LocalCatalog(path: directory.catalog, clock: clock) },
            closing: { await $0.close() }
        )
    }
}

extension LocalCatalog {
    /// Starts an upload of a name.
    func start(
        _ name: String = "report.pdf", owner: Subject = Subject("ann"), limit: Int = .max
    ) async throws(BlobError) -> Upload {
        let upload = Upload(
            id: UploadID(), owner: owner, name: FileName(trusted: name), isTemporary: false,
            expires: Date(timeIntervalSince1970: 2_000_000_000)
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
