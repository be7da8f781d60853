// Whether two directories have anything in common, whatever the paths say that lead to them.

import Glibc
import SystemPackage

/// A directory's place in the tree, by device and inode: links, mounts and relative paths make no difference.
struct DirectoryPlace {
    private struct Node: Hashable {
        let device: UInt
        let inode: UInt

        init?(_ path: FilePath) {
            var status = stat()
            guard stat(path.string, &status) == 0 else { return nil }
            (device, inode) = (UInt(status.st_dev), UInt(status.st_ino))
        }
    }

    /// The directory and those that blobd has in it, where they are there.
    private let own: Set<Node>
    /// The directory, the one that it is in, and so on to the root; for one that is not there yet, from where it is to
    /// be.
    private let line: Set<Node>

    init(of path: FilePath) {
        var paths = ["uploads", "blobs", "quarantine", "tls"].map { path.appending($0) } + [path]
        paths += (UInt8.min...UInt8.max).map { path.appending("blobs").appending(DataDirectory.name(of: $0)) }
        own = Set(paths.compactMap { Node($0) })
        line = Self.line(from: path)
    }

    /// Whether one is the other, lies in it, or shares a directory with it.
    func overlaps(_ other: DirectoryPlace) -> Bool {
        !own.isDisjoint(with: other.line) || !line.isDisjoint(with: other.own) || !own.isDisjoint(with: other.own)
    }

    private static func line(from path: FilePath) -> Set<Node> {
        let parent = path.removingLastComponent()
        var path = Node(path) != nil ? path : parent.isEmpty ? "." : parent
        var line: Set<Node> = []
        // The root is above itself.
        while let node = Node(path), line.insert(node).inserted { path.append("..") }
        return line
    }
}
