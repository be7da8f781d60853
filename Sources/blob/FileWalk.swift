// The files that a command line names, one after the other.

import Glibc

/// Goes through paths, and through folders if it may, in the order of their names. It holds the names of the folders on
/// its way, and no file open.
struct FileWalk: Sequence, IteratorProtocol {
    enum Item: Equatable {
        case file(path: String, size: Int64)
        /// Standard input.
        case stream
        /// Something in a folder that is no file.
        case passedOver(path: String, reason: String)
        case failed(path: String, problem: String)
    }

    private struct Step {
        var path: String
        /// Whether somebody named it, who then also means what a link points at.
        var isNamed: Bool
    }

    /// What is still to be looked at, the next one last.
    private var steps: [Step]
    private let isRecursive: Bool

    init(_ paths: [String], isRecursive: Bool) {
        steps = paths.reversed().map { Step(path: $0, isNamed: true) }
        self.isRecursive = isRecursive
    }

    /// Blocks while the disk is asked.
    mutating func next() -> Item? {
        while let step = steps.popLast() {
            if step.isNamed && step.path == "-" { return .stream }
            var status = stat()
            guard (step.isNamed ? stat(step.path, &status) : lstat(step.path, &status)) == 0 else {
                return .failed(path: step.path, problem: String(cString: strerror(errno)))
            }
            switch status.st_mode & S_IFMT {
            case S_IFREG: return .file(path: step.path, size: Int64(status.st_size))
            case S_IFDIR where isRecursive:
                if let failure = enter(step.path) { return failure }
            case S_IFDIR: return .failed(path: step.path, problem: "is a folder; --recursive uploads what is in it")
            case S_IFLNK: return .passedOver(path: step.path, reason: "is a symbolic link")
            case _ where step.isNamed:
                return .failed(path: step.path, problem: "is no regular file; '-' uploads standard input")
            default: return .passedOver(path: step.path, reason: "is no regular file")
            }
        }
        return nil
    }

    private mutating func enter(_ path: String) -> Item? {
        guard let folder = opendir(path) else {
            return .failed(path: path, problem: String(cString: strerror(errno)))
        }
        defer { closedir(folder) }
        let prefix = path.hasSuffix("/") ? path : path + "/"
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        // By bytes, so that the order does not depend on the language.
        names.sort { $1.utf8.lexicographicallyPrecedes($0.utf8) }
        steps += names.map { Step(path: prefix + $0, isNamed: false) }
        return nil
    }
}
