// Files that are whole or not there.

import Foundation
import Program
import SystemPackage
import Testing

struct SmallFileTests {
    @Test func replacing() async throws {
        try await withTemporaryDirectory { directory in
            let path = FilePath(directory).appending("file")
            #expect(try readFile(at: path, limit: 10, protection: nil) == nil)
            try replaceFile(at: path, with: [1, 2, 3], permissions: .ownerReadWrite)
            #expect(try readFile(at: path, limit: 10, protection: nil) == [1, 2, 3])
            #expect(try permissions(of: path.string) == 0o600)
            try replaceFile(at: path, with: [], permissions: [.ownerReadWrite, .groupRead, .otherRead])
            #expect(try readFile(at: path, limit: 10, protection: nil) == [])
            #expect(try permissions(of: path.string) == 0o644)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["file"])
            try removeFileDurably(at: path)
            #expect(throws: Errno.noSuchFileOrDirectory) { try removeFileDurably(at: path) }
        }
    }

    @Test(arguments: [(9, true), (10, true), (11, false)])
    func limit(count: Int, isRead: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let path = FilePath(directory).appending("file")
            try replaceFile(at: path, with: Array(repeating: 7, count: count), permissions: .ownerReadWrite)
            if isRead {
                #expect(try readFile(at: path, limit: 10, protection: nil)?.count == count)
            } else {
                #expect(throws: SmallFileError.failed(.fileTooLarge)) {
                    try readFile(at: path, limit: 10, protection: nil)
                }
            }
        }
    }

    /// A name that somebody else put there is not followed.
    @Test func linkInTheWay() async throws {
        try await withTemporaryDirectory { directory in
            try FileManager.default.createSymbolicLink(
                atPath: directory + "/.file.new", withDestinationPath: directory + "/victim"
            )
            try replaceFile(at: FilePath(directory).appending("file"), with: [1], permissions: .ownerReadWrite)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["file"])
        }
    }

    @Test func table() {
        #expect(alignedTable([["a", "bb", "c"], ["aaa", "", "ccc"], ["x"]]) == "a    bb  c\naaa      ccc\nx")
        #expect(alignedTable([]) == "")
    }
}
