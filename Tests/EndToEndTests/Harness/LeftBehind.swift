// Things that must not outlive the test run: child processes, mounted disks and temporary folders. Tests end their own;
// this is for those that live as long as the process, and for a run that is interrupted. SIGKILL and a crash leave
// them.

import Foundation
import Glibc
import Synchronization

enum LeftBehind {
    private struct State {
        var children: Set<pid_t> = []
        var disks: Set<String> = []
        var folders: Set<String> = []
    }

    private static let state = Mutex(State())

    /// Has everything ended at the exit, to which the signals that interrupt a run lead too.
    private static let atExit: Mutex<[any DispatchSourceSignal]> = {
        atexit { LeftBehind.endAll() }
        let sources = [SIGINT, SIGTERM].map { number in
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { exit(128 + number) }
            source.resume()
            return source
        }
        return Mutex(sources)
    }()

    static func started(_ child: pid_t) {
        atExit.withLock { _ in }
        state.withLock { _ = $0.children.insert(child) }
    }

    /// Takes the ended child's status from the kernel. Under the same lock as `signal`: its number is never signalled
    /// after the kernel may have given it to another process.
    static func reap(_ child: pid_t) -> Int32 {
        state.withLock { state in
            var status: Int32 = 0
            while waitpid(child, &status, 0) == -1, errno == EINTR {}
            state.children.remove(child)
            return status
        }
    }

    static func signal(_ child: pid_t, _ signal: Int32) {
        state.withLock { state in
            if state.children.contains(child) { _ = kill(child, signal) }
        }
    }

    static func mounted(disk: String) {
        atExit.withLock { _ in }
        state.withLock { _ = $0.disks.insert(disk) }
    }

    /// Takes a disk away at once, whoever still uses it.
    static func unmount(disk: String) {
        _ = umount2(disk, Int32(MNT_DETACH))
        state.withLock { _ = $0.disks.remove(disk) }
    }

    static func made(folder: String) {
        atExit.withLock { _ in }
        state.withLock { _ = $0.folders.insert(folder) }
    }

    static func remove(folder: String) {
        try? FileManager.default.removeItem(atPath: folder)
        state.withLock { _ = $0.folders.remove(folder) }
    }

    private static func endAll() {
        state.withLock { state in
            for child in state.children {
                _ = kill(child, SIGKILL)
            }
            for disk in state.disks {
                _ = umount2(disk, Int32(MNT_DETACH))
            }
            for folder in state.folders {
                try? FileManager.default.removeItem(atPath: folder)
            }
        }
    }
}

/// A folder of the test's own, gone when nobody holds it any more.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        let parent = FileManager.default.temporaryDirectory.path
        var template = Array((parent + "/blobd-e2e-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("mkdtemp: \(String(cString: strerror(errno)))") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        LeftBehind.made(folder: path)
    }

    deinit {
        LeftBehind.remove(folder: path)
    }

    /// Writes a file into the folder and returns its path.
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    func read(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
    }
}
