// The client library's pages of files, and the paths that it sends, on the real server.

import BlobClient
import NIOCore
import Synchronization
import Testing

@Suite("Pages of files by the client library", .inTurn, .timeLimit(.minutes(5)))
struct ClientPagesTests {
    @Test("paths come back, and a file that stays is listed once, whatever goes meanwhile")
    func pages() async throws {
        let client = try await Client.newSubject()
        let server = try BlobServiceClient(client.server.address, token: client.bearer)
        let paths = (0..<12).map { "2026/مايو/\($0 / 4)/call \($0).wav" }
        var uploaded: [StoredFile] = []
        for path in paths {
            let bytes = Mutex(ByteBuffer(string: path) as ByteBuffer?)
            let options = UploadOptions(name: "call.wav", path: path)
            let file = try await server.upload(options: options) { bytes.withLock { $0.take() } }
            #expect(file.path == path && file.name == "call.wav")
            uploaded.append(file)
        }
        var query = FileQuery()
        (query.order, query.top) = (.name, 3)
        var listed: [StoredFile] = []
        for try await page in server.filePages(query) {
            listed += page.items
            // All have one name: by `skip`, as many of the files to come would be missed.
            for file in page.items.prefix(2) { try await server.deleteFile(try #require(file.id)) }
        }
        #expect(listed.map(\.path) == paths && listed.map(\.id) == uploaded.map(\.id))
        query.search = "مايو/2/"
        #expect(try await server.files(query).count == 2)
        await server.shutdown()
    }
}
