// What to do when no more files can be opened. Every connection and every open blob is one.

import Glibc

/// The limits of open files.
///
/// The process never uses up its own limit: Swift's runtime opens files of its own, and ends the process when it cannot
/// (libdispatch does, to count its threads). Clients that could open connections until none is left would stop the
/// server. So connections are taken while a quarter of all files is left, and blobs are opened while an eighth is; the
/// rest is for parts that open few: the catalog, the log, the runtime.
///
/// The kernel gives out the lowest free number. A connection or a blob whose number is beyond its share is one too
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

    private static let mostWithConnections = count.map { $0 - $0 / 4 } ?? .max
    private static let mostWithBlobs = count.map { $0 - $0 / 8 } ?? .max

    /// The obstacle to a further connection; `nil` where the next one will have a number of the connections' share. It
    /// holds for one: behind it there may be no other number that is free.
    public static var obstacleForConnection: String? {
        let lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
        guard lowest >= 0 else { return advice(for: errno) }
        close(lowest)
        return lowest < mostWithConnections ? nil : advice(for: EMFILE)
    }

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
