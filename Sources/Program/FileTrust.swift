// Whose word a file or a directory is, before what it holds is believed: decision 46.

public import Glibc
import Synchronization
public import SystemPackage

/// How far a file or a directory must be out of others' reach.
///
/// Its owner must be the process's user, or root. A group that has nobody else in it is no other: the user's own on
/// most systems, and the one that Kubernetes gives to volumes (`fsGroup`).
public enum Protection: Sendable {
    /// Nobody else may change it.
    case unchangedByOthers
    /// Its group may read it, as a group for certificates' keys does, and nobody else.
    case readByGroup
    /// Nobody else may read it.
    case readByOwner

    /// The bits of a mode that must not be set.
    private var forbidden: mode_t {
        switch self {
        case .unchangedByOthers: S_IWGRP | S_IWOTH
        case .readByGroup: S_IWGRP | S_IRWXO
        case .readByOwner: S_IRWXG | S_IRWXO
        }
    }

    private var chmod: String {
        switch self {
        case .unchangedByOthers: "chmod go-w"
        case .readByGroup: "chmod g-w,o="
        case .readByOwner: "chmod go="
        }
    }

    /// Why something is not to be believed, as a sentence with what puts it right; `nil` where it may be.
    ///
    /// - Parameter status: what the system says of it.
    public func objection(to path: FilePath, _ status: stat) -> String? {
        let user = geteuid()
        guard status.st_uid == user || status.st_uid == 0 else {
            return
                "\(path) belongs to the user \(status.st_uid), who could change it at any time, and this is the user "
                + "\(user): run as its owner, or 'chown \(user) \(path)' if what it holds is yours"
        }
        var excess = status.st_mode & forbidden
        if excess & S_IRWXG != 0, isOwnGroup(status.st_gid) { excess &= ~S_IRWXG }
        guard excess != 0 else { return nil }
        let others = excess & (S_IWGRP | S_IWOTH) != 0 ? "changed" : "read"
        return "\(path) can be \(others) by others (mode \(String(status.st_mode & 0o7777, radix: 8))): "
            + "see that it holds what you put there, then '\(chmod) \(path)'"
    }

    /// The same of a file or directory at a path; a symbolic link is followed. `nil` also where nothing can be found
    /// out: whoever opens it meets that.
    public func objection(to path: FilePath) -> String? {
        var status = stat()
        guard stat(path.string, &status) == 0, [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) else { return nil }
        return objection(to: path, status)
    }
}

/// The system's lists of users and groups are read by one thread at a time.
private let userLists = Mutex(())

/// Whether a group is one of the process's, and the system knows of nobody else in it but root. Reads the lists of
/// users and groups, which may be long.
private func isOwnGroup(_ group: gid_t) -> Bool { userLists.withLock { _ in isOwn(group) } }

private func isOwn(_ group: gid_t) -> Bool {
    var groups = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
    guard getgroups(CInt(groups.count), &groups) >= 0, group == getegid() || groups.contains(group) else {
        return false
    }
    let user = geteuid()
    let own = getpwuid(user).map { String(cString: $0.pointee.pw_name) }

    var member = getgrgid(group)?.pointee.gr_mem
    while let name = member?.pointee {
        guard [own, "root"].contains(String(cString: name)) else { return false }
        member = member?.advanced(by: 1)
    }
    setpwent()
    defer { endpwent() }
    while let entry = getpwent() {
        guard entry.pointee.pw_gid != group || [user, 0].contains(entry.pointee.pw_uid) else { return false }
    }
    return true
}
