// Which files a command line names.

import Foundation
import SystemPackage
import Testing

@testable import blob

struct FileWalkTests {
    private static func withTree(_ body: (FilePath) throws -> Void) throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "blob-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root + "/b/deep", withIntermediateDirectories: true)
        for (name, size) in [("z", 1), ("a", 2), ("b/deep/x", 3), ("b/ä", 0), ("b/y", 5)] {
            try Data(count: size).write(to: URL(fileURLWithPath: root + "/" + name))
        }
        try FileManager.default.createSymbolicLink(atPath: root + "/link", withDestinationPath: "z")
        try body(FilePath(root))
    }

    @Test func recursive() throws {
        try Self.withTree { root in
            let place = FilePath(root: nil, root.lastComponent.map { [$0] } ?? [])
            let files = [("a", 2), ("b/deep/x", 3), ("b/y", 5), ("b/ä", 0), ("z", 1)].map { path, size in
                FileWalk.Item.file(path: root.appending(path), size: size, place: place.appending(path))
            }
            let link = FileWalk.Item.passedOver(path: root.appending("link"), reason: "is a symbolic link")
            #expect(Array(FileWalk([root], isRecursive: true)) == files[..<4] + [link] + files[4...])
        }
    }

    @Test("the folder's own name begins the way, however it was named")
    func places() throws {
        try Self.withTree { root in
            let paths = ["b/deep", "b/deep/../deep", "b/deep/."].map { root.appending($0) }
            let places = FileWalk(paths, isRecursive: true).map { item -> FilePath? in
                guard case .file(_, _, let place) = item else { return nil }
                return place
            }
            #expect(places == ["deep/x", "deep/x", "deep/x"])
        }
    }

    @Test func named() throws {
        try Self.withTree { root in
            let paths = ["-", root.appending("link"), root, root.appending("none"), "/dev/null"]
            #expect(
                Array(FileWalk(paths, isRecursive: false)) == [
                    .stream, .file(path: root.appending("link"), size: 1, place: nil),
                    .failed(path: root, problem: "is a folder; --recursive uploads what is in it"),
                    .failed(path: root.appending("none"), problem: "No such file or directory"),
                    .failed(path: "/dev/null", problem: "is no regular file; '-' uploads standard input"),
                ])
        }
    }
}
