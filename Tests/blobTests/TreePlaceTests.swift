// The places to which the files of a folder come back, whatever a server says.

import BlobClient
import Foundation
import SystemPackage
import Testing

@testable import blob

struct TreePlaceTests {
    @Test(arguments: [
        ("photos/a.jpg", "photos", "out/photos/a.jpg"), ("2026/may/x/a", "2026/may", "out/may/x/a"),
        ("a.txt", "a.txt", "out/a.txt"), ("d/.hidden/-f", "d", "out/d/_.hidden/_-f"), (".d/...", ".d", "out/_.d/_..."),
        ("d/\u{202E}a\n", "d", "out/d/_a_"),
        ("d/." + String(repeating: "x", count: 254), "d", "out/d/_" + String(repeating: "x", count: 254)),
        ("d/\u{301}x/\u{301}y", "d", "out/d/\u{301}x/\u{301}y"),
    ])
    func path(_ path: String, _ folder: String, _ target: String) throws {
        #expect(try TreePlace(path, below: folder).path(in: "out").string.utf8.elementsEqual(target.utf8))
    }

    @Test(arguments: ["d/../../etc/passwd", "/etc/passwd", "d//x", "d/.", "d/..", "", "d/", "a/../\u{301}b"])
    func refused(_ path: String) {
        #expect(throws: BlobClientError.self) { try TreePlace(path, below: "d") }
    }

    @Test("names that are trusted keep their beginnings, and nothing that nobody would see")
    func trusted() throws {
        let place = try TreePlace(".d/-f\u{202E}", below: ".d", trusting: true)
        #expect(place.path(in: "out") == "out/.d/-f_")
        #expect(throws: BlobClientError.self) { try TreePlace("d/../x", below: "d", trusting: true) }
    }

    @Test("folders are made below the target alone: never through a link, nor in the place of a file")
    func folders() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "blob-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        let folder = FilePath(root).appending("a/b")
        try folder.makeFolders()
        try folder.makeFolders()
        try TreePlace("d/e/f", below: "d").makeFolders(in: folder)
        try TreePlace("d/e/g", below: "d").makeFolders(in: folder)
        #expect(try folder.appending("d/e").stat(followTargetSymlink: false).type == .directory)
        try FileManager.default.createSymbolicLink(atPath: folder.appending("link").string, withDestinationPath: "d")
        try Data().write(to: URL(fileURLWithPath: folder.appending("file").string))
        for path in ["link/x", "file/x"] {
            #expect(throws: BlobClientError.self) { try TreePlace(path, below: "").makeFolders(in: folder) }
        }
        #expect(throws: Errno.notDirectory) { try folder.appending("file/x").makeFolders() }
    }
}
