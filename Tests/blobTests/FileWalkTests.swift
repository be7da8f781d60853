// Which files a command line names.

import Foundation
import Testing

@testable import blob

struct FileWalkTests {
    private static func withTree(_ body: (String) throws -> Void) throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "blob-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root + "/b/deep", withIntermediateDirectories: true)
        for (name, size) in [("z", 1), ("a", 2), ("b/deep/x", 3), ("b/ä", 0), ("b/y", 5)] {
            try Data(count: size).write(to: URL(fileURLWithPath: root + "/" + name))
        }
        try FileManager.default.createSymbolicLink(atPath: root + "/link", withDestinationPath: "z")
        try body(root)
    }

    @Test func recursive() throws {
        try Self.withTree { root in
            let items = FileWalk([root + "/"], isRecursive: true).map { $0 }
            #expect(
                items == [
                    .file(path: root + "/a", size: 2), .file(path: root + "/b/deep/x", size: 3),
                    .file(path: root + "/b/y", size: 5), .file(path: root + "/b/ä", size: 0),
                    .passedOver(path: root + "/link", reason: "is a symbolic link"), .file(path: root + "/z", size: 1),
                ])
        }
    }

    @Test func named() throws {
        try Self.withTree { root in
            let items = FileWalk(["-", root + "/link", root, root + "/none", "/dev/null"], isRecursive: false).map {
                $0
            }
            #expect(
                items == [
                    .stream, .file(path: root + "/link", size: 1),
                    .failed(path: root, problem: "is a folder; --recursive uploads what is in it"),
                    .failed(path: root + "/none", problem: "No such file or directory"),
                    .failed(path: "/dev/null", problem: "is no regular file; '-' uploads standard input"),
                ])
        }
    }
}
