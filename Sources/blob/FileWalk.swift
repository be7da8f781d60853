// The files that a command line names, one after the other.

import BlobClient
import Glibc
import SystemPackage

/// Goes through paths, and through folders if it may, in the order of their names. It holds the names of the folders on
/// its way, and no file open.
struct FileWalk: Sequence, IteratorProtocol {
    enum Item: Equatable {
        /// - Parameter place: the names that lead to it from the folder that somebody named, that folder's own first;
        ///   `nil` for a file that was named itself.
        case file(path: FilePath, size: Int64, place: FilePath?)
        /// Standard input.
        case stream
        /// Something in a folder that is no file.
        case passedOver(path: FilePath, reason: String)
        case failed(path: FilePath, problem: String)
    }

    private struct Step {
        var path: FilePath
        /// `nil` for a path that somebody named, who then also means the target of a link.
        var place: FilePath?

        var isNamed: Bool { place == nil }
    }

    /// The entries still to be looked at, the next one last.
    private var steps: [Step]
    private let isRecursive: Bool

    init(_ paths: [FilePath], isRecursive: Bool) {
        steps = paths.reversed().map { Step(path: $0) }
        self.isRecursive = isRecursive
    }

    /// A text in the path on the server of each file below a single folder; `nil` for several.
    static func folder(of paths: [FilePath]) -> String? {
        guard paths.count == 1, let name = paths[0].absolute.lastComponent else { return nil }
        return RemoteName(name).text + "/"
    }

    /// Blocks while the disk is asked.
    mutating func next() -> Item? {
        while let step = steps.popLast() {
            if step.isNamed && step.path == "-" { return .stream }
            let status: Stat
            do {
                status = try step.path.stat(followTargetSymlink: step.isNamed)
            } catch {
                return .failed(path: step.path, problem: "\(error)")
            }
            switch status.type {
            case .regular: return .file(path: step.path, size: status.size, place: step.place)
            case .directory where isRecursive:
                if let failure = enter(step) { return failure }
            case .directory: return .failed(path: step.path, problem: "is a folder; --recursive uploads what is in it")
            case .symbolicLink: return .passedOver(path: step.path, reason: "is a symbolic link")
            case _ where step.isNamed:
                return .failed(path: step.path, problem: "is no regular file; '-' uploads standard input")
            default: return .passedOver(path: step.path, reason: "is no regular file")
            }
        }
        return nil
    }

    private mutating func enter(_ step: Step) -> Item? {
        guard let folder = step.path.withPlatformString({ opendir($0) }) else {
            return .failed(path: step.path, problem: "\(Errno(rawValue: errno))")
        }
        defer { closedir(folder) }
        var names: [FilePath.Component] = []
        errno = 0
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) {
                    FilePath.Component(platformString: $0)
                }
            }
            if let name, name.kind == .regular { names.append(name) }
        }
        guard errno == 0 else { return .failed(path: step.path, problem: "\(Errno(rawValue: errno))") }
        // By bytes, so that the order does not depend on the language; backwards, since the last step comes first.
        names.sort { strcmp($0, $1) > 0 }
        // The root has no name.
        let place = step.place ?? FilePath(root: nil, step.path.absolute.lastComponent.map { [$0] } ?? [])
        steps += names.map { Step(path: step.path.appending($0), place: place.appending($0)) }
        return nil
    }
}

private func strcmp(_ one: FilePath.Component, _ other: FilePath.Component) -> CInt {
    one.withPlatformString { one in other.withPlatformString { Glibc.strcmp(one, $0) } }
}
