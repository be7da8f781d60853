// Where files lie, and the notes of files whose names are no text.

import Foundation
import Glibc
import SystemPackage
import Testing

@testable import BlobClient

struct LocalPathTests {
    @Test("'..' after a link leads where the system says, and a link at the end stays")
    func absolute() throws {
        let folder = try Folder()
        let root = FilePath(folder.path)
        for path in ["one/deep", "two"] {
            try FileManager.default.createDirectory(
                atPath: folder.path + "/" + path, withIntermediateDirectories: true)
        }
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/two/link", withDestinationPath: "../one/deep")
        #expect(root.appending("two/link/../file").absolute == root.appending("one/file"))
        #expect(root.appending("two/./link").absolute == root.appending("two/link"))
        #expect(root.appending("two/link/..").absolute == root.appending("one"))
        #expect(root.appending("none/../file").absolute == root.appending("none/../file"))
        #expect(FilePath("file").absolute == FilePath(FileManager.default.currentDirectoryPath).appending("file"))
        #expect(FilePath(".").absolute == FilePath(FileManager.default.currentDirectoryPath))
    }

    @Test("an upload of a file whose name is no UTF-8 goes on, and bears it in its notes")
    func notes() async throws {
        try await withStub(
            [.append: Dropped.faults(after: 1)], Manners(), Dropped.configuration
        ) { stub, client in
            let dropped = try Dropped(Dropped.count)
            let path = FilePath(
                platformString: Array((dropped.folder.path + "/caf").utf8CString.dropLast()) + [-23, 0])
            let renamed = path.withPlatformString { rename(dropped.file, $0) }
            try #require(renamed == 0)
            await #expect(throws: BlobClientError.self) {
                try await client.upload(file: path, journal: dropped.journal)
            }
            let entry = try #require(dropped.journal.entries().first)
            #expect(entry.path == path && entry.options.name == "caf%E9")
            let file = try await client.upload(file: entry.path, options: entry.options, journal: dropped.journal)
            #expect(file.name == "caf%E9" && stub.model.blob(file.digest ?? "") == dropped.bytes)
            #expect(dropped.journal.entries().isEmpty)
        }
    }
}
