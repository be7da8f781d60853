// What to do when no more files can be opened. Every connection and every open blob is one.

import Foundation
import Glibc
import Synchronization

/// The limits of open files.
///
/// The process never uses up its own limit: Swift's runtime opens files of its own, and ends the process when it cannot
/// (libdispatch does, to count its threads). Clients that could open connections until none is left would stop the
/// server. So connections take up four fifths of all files at most, together with what is open at the start; they are
/// taken, and blobs are opened, while an eighth is left; the rest is for parts that open few: the catalog, the log, the
/// runtime.
///
/// The kernel gives out the lowest free number. A connection or a blob whose number is beyond that share is one too
/// many; while none of them has such a number, those are free for the others, whatever is open below.
public enum OpenFileLimit {
    /// The limit that a system call has met, and how it is raised; `nil` for any other error number.
    public static func advice(for code: CInt) -> String? {
        switch code {
        case EMFILE:
            "all \(count.map(String.init) ?? "the") files that this process may have open are open, or kept for what it "
                + "cannot do without: raise LimitNOFILE= in its systemd unit, or 'ulimit -Hn' where it is started"
        case ENFILE: "all files that this machine may have open are open: raise the sysctl fs.file-max"
        default: nil
        }
    }

    /// How many the process may have open; `nil` where nobody knows. Asked for once, when the process has set it.
    private static let count: CInt? = {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return CInt(clamping: limit.rlim_cur)
    }()

    /// Below it, connections are taken, and blobs begin to be opened.
    private static let mostInUse = count.map { $0 - $0 / 8 } ?? .max
    /// What is promised below the other bound may end up here, where files were opened meanwhile that nobody counts.
    private static let mostWithBlobs = count.map { $0 - $0 / 16 } ?? .max

    /// How many connections leave a fifth of all files free, besides those that are open now.
    public static var mostConnections: Int {
        guard let count else { return .max }
        let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        return max(1, Int(count - count / 5) - open)
    }

    /// How many blobs may be kept open though nobody reads them. Files that run short are taken from them first; with
    /// fewer of them, downloads of a thousand blobs in turn cost twice as much, because each is opened anew.
    public static var mostKept: Int { min(2048, count.map { Int($0 / 2) } ?? .max) }

    // MARK: Shortage

    private static let promised = Mutex<CInt>(0)
    private static let reliefs = Mutex<[@Sendable () -> Void]>([])

    /// Has something closed whenever files run short that can be done without. Called on any thread; must not block.
    public static func whenShort(_ relief: @escaping @Sendable () -> Void) {
        reliefs.withLock { $0.append(relief) }
    }

    private static func relieve() {
        for relief in reliefs.withLock({ $0 }) { relief() }
    }

    private static func lowestFree() -> CInt {
        let lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
        if lowest >= 0 { close(lowest) }
        return lowest
    }

    /// The obstacle to a further connection; `nil` where the next one will have a number of the share. It holds for
    /// one: behind it there may be no other number that is free. What can be done without is closed.
    public static var obstacleForConnection: String? {
        let lowest = lowestFree()
        guard lowest < 0 || lowest >= mostInUse else { return nil }
        let code = lowest < 0 ? errno : EMFILE
        relieve()
        return advice(for: code)
    }

    /// Opens a file when one is left for it. Where none is, what can be done without is closed, and this waits for that
    /// or for others to close theirs; after about two seconds it tries whatever is left.
    public static func whenLeft<Value, Failure: Error>(
        _ open: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        var isPromised = promise()
        var patience = 200
        while !isPromised, patience > 0, !Task.isCancelled {
            relieve()
            try? await Task.sleep(for: .milliseconds(10))
            patience -= 1
            isPromised = promise()
        }
        defer { if isPromised { promised.withLock { $0 -= 1 } } }
        return try await open()
    }

    /// Counts a file that is about to be opened, if one is left.
    private static func promise() -> Bool {
        promised.withLock { promised in
            let lowest = lowestFree()
            guard lowest >= 0, lowest < mostInUse - promised else { return false }
            promised += 1
            return true
        }
    }

    // MARK: Opening

    /// The descriptor of a blob or an upload as it was opened, if enough are left.
    ///
    /// - Returns: -1 with `errno` where not, as if the system had refused.
    public static func admitted(_ descriptor: CInt) -> CInt {
        guard descriptor >= mostWithBlobs else { return descriptor }
        close(descriptor)
        errno = EMFILE
        return -1
    }
}
