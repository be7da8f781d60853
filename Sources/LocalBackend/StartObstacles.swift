// The obstacles to a server's use of a data directory, found by looking alone.

import BlobStorage
import Glibc
public import SystemPackage

extension DataDirectory {
    /// Why a server could not use a directory, each reason a sentence; empty where nothing is in the way. Makes and
    /// changes nothing, and does not look for damage.
    public static func obstacles(toServing path: FilePath) -> [String] {
        do throws(OperatorError) {
            let contents = try DirectoryContents(of: path, accepting: DirectoryContents.foundByFirstStart)
            if let refusal = contents.refusal(toServe: path) { return [refusal.description] }
            if contents == .missing {
                let parent = path.removingLastComponent()
                return obstacle(to: W_OK | X_OK, parent.isEmpty ? "." : parent, isDirectory: true).map { [$0] } ?? []
            }
        } catch {
            return [error.description]
        }
        let files = [path.appending("lock")] + catalogFiles(in: path)
        let found =
            ([path] + directories(in: path)).compactMap {
                isThere($0) ? obstacle(to: R_OK | W_OK | X_OK, $0, isDirectory: true) : nil
            }
            + files.compactMap { isThere($0) ? obstacle(to: R_OK | W_OK, $0, isDirectory: false) : nil }
        return found + distrust(of: path) + (newerFormat(of: catalog(in: path)).map { [$0] } ?? [])
    }

    private static func isThere(_ path: FilePath) -> Bool {
        var status = stat()
        return stat(path.string, &status) == 0 || errno != ENOENT
    }

    private static func obstacle(to mode: CInt, _ path: FilePath, isDirectory: Bool) -> String? {
        var status = stat()
        guard stat(path.string, &status) == 0 else { return unusable(path, errno).description }
        guard (status.st_mode & S_IFMT == S_IFDIR) == isDirectory else {
            return isDirectory ? unusable(path, ENOTDIR).description : "\(path) is no file: move it away"
        }
        guard faccessat(AT_FDCWD, path.string, mode, AT_EACCESS) != 0 else { return nil }
        let reason = Errno(rawValue: errno).description
        return isDirectory
            ? unusable(path, errno).description
            : "\(path) cannot be read and written: \(reason); give it to the user that the server runs as"
    }

    /// The header alone is read: opening a database makes files (SQLite's file format, "The Database Header").
    private static func newerFormat(of catalog: FilePath) -> String? {
        let descriptor = Glibc.open(catalog.string, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4)
        guard pread(descriptor, &bytes, bytes.count, 60) == bytes.count else { return nil }
        let format = bytes.reduce(0) { $0 << 8 | Int($1) }
        return format > Schema.format ? Schema.newerFormat(format).description : nil
    }
}
