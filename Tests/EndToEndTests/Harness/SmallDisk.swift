// Small disks of a test's own, and what fills them.

import Foundation
import Glibc

/// A disk to be a server's data directory.
enum SmallDisk: Hashable {
    /// tmpfs, with so many MiB and files.
    case memory(size: Int = 16, files: Int = 1000)
    /// ext4 in a file, likewise, and without space for root alone.
    case ext4(size: Int = 48, files: Int = 1000)

    /// - Parameter image: where a file for the disk may be made.
    fileprivate func commands(mountingAt path: String, image: String) -> [[String]] {
        switch self {
        case .memory(let size, let files):
            [["mount", "-t", "tmpfs", "-o", "size=\(size)m,nr_inodes=\(files),mode=700", "blobd-e2e", path]]
        case .ext4(let size, let files):
            [
                ["truncate", "-s", "\(size)M", image],
                ["mkfs.ext4", "-q", "-m", "0", "-b", "4096", "-N", String(files), image],
                ["mount", "-o", "loop", image, path],
            ]
        }
    }
}

/// Runs `body` with a server whose data directory is a small disk; both end whatever it does.
func withServer(
    on disk: SmallDisk, _ flags: [String] = [], _ body: (ServerProcess) async throws -> Void
) async throws {
    let server = try ServerProcess()
    try FileManager.default.createDirectory(atPath: server.data, withIntermediateDirectories: false)
    for command in disk.commands(mountingAt: server.data, image: server.folder.path + "/image") {
        let outcome = try await ChildProcess.run(command, in: server.folder.path)
        guard outcome.end == .code(0) else { throw Failure("\(command): \(outcome)") }
    }
    LeftBehind.mounted(disk: server.data)
    defer { LeftBehind.unmount(disk: server.data) }
    do {
        try await server.start(flags)
        try await body(server)
    } catch {
        try? await server.kill()
        throw error
    }
    try await server.kill()
}

/// Another program's files on a server's disk.
struct Ballast {
    private let folder: String

    init(on server: ServerProcess) {
        folder = server.data + "/ballast"
    }

    /// Fills the disk, but for so many bytes.
    func fill(leaving rest: Int = 0) throws {
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let spare = open(folder + "/spare", O_WRONLY | O_CREAT, 0o600)
        guard spare >= 0, rest == 0 || posix_fallocate(spare, 0, off_t(rest)) == 0 else {
            throw Failure("spare: \(errno)")
        }
        defer {
            close(spare)
            unlink(folder + "/spare")
        }
        let file = open(folder + "/bytes", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        guard file >= 0 else { throw Failure("\(folder): \(errno)") }
        defer { close(file) }
        let page = [UInt8](repeating: 1, count: 4096)
        // A file system may find room again that it held back, once it has written what there is.
        var found = true
        while found {
            found = false
            while write(file, page, page.count) > 0 { found = true }
            guard errno == ENOSPC else { throw Failure("\(folder): \(errno)") }
            fsync(file)
        }
    }

    /// Makes files until there can be no more.
    func fillWithFiles() throws {
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        while true {
            let file = open(folder + "/" + UUID().uuidString, O_WRONLY | O_CREAT, 0o600)
            if file < 0 { break }
            close(file)
        }
        guard errno == ENOSPC else { throw Failure("\(folder): \(errno)") }
    }

    func remove() throws {
        if FileManager.default.fileExists(atPath: folder) { try FileManager.default.removeItem(atPath: folder) }
    }
}
