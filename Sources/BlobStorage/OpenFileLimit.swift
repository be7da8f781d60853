// What to do when no more files can be opened. Every connection and every open blob is one.

import Glibc

/// The limits of open files, for whoever meets one: the system's words name neither the limit nor the way to raise it.
public enum OpenFileLimit {
    /// What limit a system call has met, and how it is raised; `nil` for any other error number.
    public static func advice(for code: CInt) -> String? {
        switch code {
        case EMFILE:
            "all \(processLimit) files that this process may have open are open: raise LimitNOFILE= in its systemd unit, "
                + "or 'ulimit -Hn' where it is started"
        case ENFILE: "all files that this machine may have open are open: raise the sysctl fs.file-max"
        default: nil
        }
    }

    private static var processLimit: String {
        var limit = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
        return isKnown ? String(limit.rlim_cur) : "the"
    }
}
