// The limits that the process raises before it serves.

import Glibc

/// Raises the number of files that the process may have open to the most that the system allows it: every connection
/// and every open blob is one.
func raiseOpenFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// Makes writing to a closed pipe or connection, and beyond the size that a file may have, an error of the call instead
/// of the end of the process.
func ignoreSignalsOfWriting() {
    _ = signal(SIGPIPE, SIG_IGN)
    _ = signal(SIGXFSZ, SIG_IGN)
}
