// Where the files of a folder come back to.

import BlobClient
import Glibc
import SystemPackage

/// The way to a file from the folder that downloads go to.
///
/// The server may lie, so the way leads only down, never through a link, and each name on it is one that
/// ``LocalName/safe(_:trusting:)`` makes.
struct TreePlace: Equatable, Sendable {
    private let names: [String]

    /// - Parameters:
    ///   - path: of a file on the server.
    ///   - folder: the beginning of the path, of which the last name alone is kept.
    ///   - trusting: whether names may begin with `.` and `-`.
    /// - Throws: ``BlobClientError/unexpectedAnswer(_:)`` for a path that leads elsewhere.
    init(_ path: String, below folder: String, trusting: Bool = false) throws(BlobClientError) {
        // By scalars: a slash that a mark follows is a character of its own, and still a slash to file systems.
        let names = path.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        guard names.allSatisfy({ !["", ".", ".."].contains($0) }) else {
            throw .unexpectedAnswer("it tells the path '\(path)', which may lead out of the folder")
        }
        let depth = folder.unicodeScalars.count { $0 == "/" }
        self.names = names.dropFirst(depth).map { LocalName.safe($0, trusting: trusting) }
    }

    func path(in folder: FilePath) -> FilePath {
        names.reduce(into: folder) { $0.append($1) }
    }

    /// Makes the folders on the way. Blocks.
    ///
    /// - Throws: ``BlobClientError/file(path:problem:)`` where something else is, or they cannot be made.
    func makeFolders(in folder: FilePath) throws(BlobClientError) {
        var path = folder
        for name in names.dropLast() {
            path.append(name)
            do {
                try path.makeFolder(followsLink: false)
            } catch {
                throw .file(path: path.string, problem: "is to be a folder, and cannot be made: \(error)")
            }
        }
    }
}

extension FilePath {
    /// Makes the folder and those that it lies in, where they are not there. Blocks.
    func makeFolders() throws(Errno) {
        let parent = removingLastComponent()
        if !parent.isEmpty && parent != self { try parent.makeFolders() }
        if !components.isEmpty { try makeFolder(followsLink: true) }
    }

    /// - Parameter followsLink: whether a link to a folder will do.
    fileprivate func makeFolder(followsLink: Bool) throws(Errno) {
        guard withPlatformString({ mkdir($0, 0o777) }) != 0 else { return }
        let problem = Errno(rawValue: errno)
        guard let kind = try? stat(followTargetSymlink: followsLink).type else { throw problem }
        guard kind == .directory else { throw .notDirectory }
    }
}
