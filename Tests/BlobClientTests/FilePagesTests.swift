// All pages of a list, on servers with cursors and on those without.

import BlobClient
import Testing

@Suite("Pages of files", .timeLimit(.minutes(1)))
struct FilePagesTests {
    @Test(
        "all files are listed once, whether the server has cursors or not", arguments: [0, 1, 19, 20, 21],
        [false, true])
    func all(_ count: Int, _ hasCursors: Bool) async throws {
        try await withStub([:], Manners(extras: hasCursors ? [.cursors] : [])) { stub, client in
            stub.model.publishFiles(count)
            var query = FileQuery()
            query.top = 10
            var ids: [String?] = []
            for try await page in client.filePages(query) {
                #expect(page.count == count)
                ids += page.items.map(\.id)
            }
            #expect(ids == (0..<count).map { "file-\($0)" })
            let pages = max(1, (count + 9) / 10)
            #expect(stub.model.seen == Array(repeating: .list, count: pages), "no page is asked for in vain")
        }
    }

    @Test("with cursors, deletions between the pages hide no other file")
    func deletions() async throws {
        try await withStub([:], Manners(extras: [.cursors])) { stub, client in
            stub.model.publishFiles(30)
            var query = FileQuery()
            (query.skip, query.top) = (2, 10)
            var ids: [String?] = []
            for try await page in client.filePages(query) {
                ids += page.items.map(\.id)
                // Two that were listed already, among them the one that the cursor names.
                if let last = page.items.last?.id { stub.model.deleteFile(last) }
                if let first = page.items.first?.id { stub.model.deleteFile(first) }
            }
            #expect(ids == (2..<30).map { "file-\($0)" })
        }
    }

    @Test("a page that fails for a while is asked for again")
    func retried() async throws {
        try await withStub([.list: [.nothing, .answer(503), .closeBeforeActing]]) { stub, client in
            stub.model.publishFiles(25)
            var query = FileQuery()
            query.top = 20
            var count = 0
            for try await page in client.filePages(query) { count += page.items.count }
            #expect(count == 25 && stub.model.faultsLeft == 0)
        }
    }
}
