// Query plans: lookups and lists go by an index, however many rows there are.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Testing

@testable import LocalBackend

@Suite struct LocalCatalogQueryPlanTests {
    private let directory: ScratchDirectory
    private let catalog: LocalCatalog

    init() throws {
        directory = try ScratchDirectory()
        catalog = try LocalCatalog(path: directory.catalog, clock: ManualClock())
    }

    private func plan(of sql: String) async throws -> String {
        try await catalog.run("EXPLAIN QUERY PLAN " + sql).joined(separator: "\n")
    }

    private static let lookups = [
        UploadRows.select, UploadRows.claim, UploadRows.advance, UploadRows.announce, UploadRows.fail,
        UploadRows.complete, UploadRows.delete, UploadRows.deleteExpired, BlobRows.letDie, BlobRows.dying,
        BlobRows.delete, BlobRows.isKnown, BlobRows.suspected, BlobRows.recordsAfter, BlobRows.setCondition,
        FileRows.select, FileRows.namesake, FileRows.lastExpiry, FileRows.delete,
        FileRows.deleteExpired, FileLists.expiredOfAll, FileLists.expiredOfOwner, TokenRows.select, TokenRows.use,
        TokenRows.delete,
        UsageRows.usage, UsageRows.filesOfOwner,
    ]

    @Test(arguments: lookups)
    func lookupGoesByAnIndex(sql: String) async throws {
        let plan = try await plan(of: sql)
        #expect(plan.contains("SEARCH"))
        #expect(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "\(plan)")
    }

    private static let filters = [nil, Subject("ann")].flatMap { owner in
        [nil, Timestamp(milliseconds: 0)].map { FileLists.Filter(owner: owner, now: $0) }
    }

    /// The files after a cursor are looked up in the index, those that are equal in the column included.
    @Test(arguments: FileQuery.Order.allCases, [false, true])
    func continuedListGoesByAnIndex(order: FileQuery.Order, isDescending: Bool) async throws {
        let column = order == .created ? "created" : order.rawValue
        let comparison = isDescending ? "<" : ">"
        for filter in Self.filters {
            let plan = try await plan(
                of: FileLists.page(filter, by: order, isDescending: isDescending, isContinued: true))
            let owner = filter.owner == nil ? "" : "owner=? AND "
            #expect(plan.contains("(\(owner)\(column)=? AND rowid\(comparison)?)"), "\(plan)")
            #expect(plan.contains("(\(owner)\(column)\(comparison)?)"), "\(plan)")
            #expect(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "\(plan)")
        }
    }

    @Test(arguments: FileQuery.Order.allCases, [false, true])
    func unsearchedListGoesByAnIndex(order: FileQuery.Order, isDescending: Bool) async throws {
        for filter in Self.filters {
            let plan = try await plan(
                of: FileLists.page(filter, by: order, isDescending: isDescending, isContinued: false))
            // Everybody's list walks along an index, as far as the page goes.
            let way = filter.owner == nil ? "SCAN files USING INDEX" : "SEARCH files USING INDEX"
            #expect(plan.contains(way), "\(plan)")
            #expect(!plan.contains("TEMP B-TREE"), "\(plan)")
        }
    }

    @Test(arguments: [FileLists.expiredOfAll, FileLists.expiredOfOwner])
    func expiredFilesAreCountedByTheirExpiry(sql: String) async throws {
        #expect(try await plan(of: sql).contains("files_by_expiry (expires<?)"))
    }

    @Test func visibleFilesOfADigestComeInTheOrderOfTheirIndex() async throws {
        #expect(try await plan(of: FileRows.namesake).contains("USING INDEX files_by_digest (digest=?)"))
        #expect(try await plan(of: FileRows.lastExpiry).contains("files_by_digest_expiry (digest=?"))
    }

    /// A foreign key's check of a removed blob must not scan the files.
    @Test func foreignKeyHasItsIndex() async throws {
        let plan = try await plan(of: "SELECT 1 FROM files WHERE digest = x'00'")
        #expect(plan.contains("SEARCH files USING COVERING INDEX"))
    }
}
