// The end of the audit log where lines become durable.

import Glibc
import SystemPackage

/// A file that lines are added to, by several processes at a time; or another output of this one. Every call may block.
struct AuditOutput {
    /// `nil` for an output that has no name.
    let path: FilePath?
    private var descriptor: CInt
    /// Syncs mean nothing to a pipe.
    private let isFile: Bool
    /// Whether the last line has no end: a crash or a full disk cut it off.
    private var isTorn: Bool

    /// How long another program may take to read what it is given.
    private static let patience: CInt = 5000

    /// Opens a file, and makes it where it is not there.
    ///
    /// - Throws: also when there is something at the path that is no file: it could make everybody wait.
    init(path: FilePath) throws(Errno) {
        descriptor = try Self.opened(path)
        self.path = path
        isFile = true
        isTorn = Self.isTorn(descriptor)
    }

    /// Takes an output that is open already, and is not closed here.
    init(descriptor: CInt) {
        self.descriptor = descriptor
        path = nil
        var status = stat()
        isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        isTorn = isFile && Self.isTorn(descriptor)
    }

    func close() {
        if path != nil { _ = Glibc.close(descriptor) }
    }

    /// Adds lines, and returns when they are durable. Each is added whole, or is cut off by the next one's line feed.
    ///
    /// - Returns: how many of the lines are durable, and the error when that is not all.
    mutating func append(_ lines: [[UInt8]]) -> (count: Int, error: Errno?) {
        do throws(Errno) {
            try followName()
        } catch {
            return (0, error)
        }
        let repair: [UInt8] = isTorn ? [UInt8(ascii: "\n")] : []
        let (written, failure) = write(repair + lines.joined())
        var (count, end) = (0, repair.count)
        while count < lines.count, end + lines[count].count <= written {
            end += lines[count].count
            count += 1
        }
        if written > 0 { isTorn = written != end }
        if written > 0, isFile, let failure = sync() { return (0, failure) }
        return (count, failure)
    }

    /// Goes on in the file that has the path now; in the one that is open where there can be none.
    mutating func reopen() throws(Errno) {
        guard let path else { return }
        let opened = try Self.opened(path)
        close()
        descriptor = opened
        isTorn = Self.isTorn(opened)
    }

    /// What is written to a file without a name nobody will find.
    private mutating func followName() throws(Errno) {
        guard path != nil else { return }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Errno(rawValue: errno) }
        if status.st_nlink == 0 { try reopen() }
    }

    /// In one call where nothing is in the way, so that the lines of other processes go before or after, not between.
    private func write(_ bytes: [UInt8]) -> (count: Int, error: Errno?) {
        bytes.withUnsafeBytes { bytes in
            var count = 0
            while count < bytes.count {
                var rest = UnsafeRawBufferPointer(rebasing: bytes[count...])
                if !isFile {
                    guard isReady() else { return (count, .timedOut) }
                    // As much as a pipe that is ready is sure to have room for.
                    rest = UnsafeRawBufferPointer(rebasing: rest.prefix(Int(PIPE_BUF)))
                }
                let result = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if result > 0 {
                    count += result
                } else if result == 0 {
                    return (count, .ioError)
                } else if errno != EINTR && errno != EAGAIN {
                    return (count, Errno(rawValue: errno))
                }
            }
            return (count, nil)
        }
    }

    private func isReady() -> Bool {
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while true {
            let result = poll(&room, 1, Self.patience)
            guard result < 0, errno == EINTR else { return result != 0 }
        }
    }

    private func sync() -> Errno? {
        while fdatasync(descriptor) != 0 {
            guard errno == EINTR else { return Errno(rawValue: errno) }
        }
        return nil
    }
}

extension AuditOutput {
    /// Why lines could not be added to the file of a path; `nil` where they could. Nothing is made or changed.
    static func obstacle(at path: FilePath) -> Errno? {
        do throws(Errno) {
            _ = Glibc.close(try opened(path, flags: 0))
            return nil
        } catch .noSuchFileOrDirectory {
            let directory = path.removingLastComponent()
            let isOpen = access(directory.isEmpty ? "." : directory.string, W_OK | X_OK) == 0
            return isOpen ? nil : Errno(rawValue: errno)
        } catch {
            return error
        }
    }

    /// Only its owner can read a file that is made here, and its name is durable.
    private static func opened(_ path: FilePath) throws(Errno) -> CInt {
        do throws(Errno) {
            return try opened(path, flags: 0)
        } catch .noSuchFileOrDirectory {
            let descriptor = try opened(path, flags: O_CREAT)
            let parent = path.removingLastComponent()
            let directory = Glibc.open(parent.isEmpty ? "." : parent.string, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            let isSynced = directory >= 0 && fsync(directory) == 0
            let code = errno
            if directory >= 0 { _ = Glibc.close(directory) }
            guard isSynced else {
                _ = Glibc.close(descriptor)
                throw Errno(rawValue: code)
            }
            return descriptor
        }
    }

    private static func opened(_ path: FilePath, flags: CInt) throws(Errno) -> CInt {
        // Not to wait for whoever might read a pipe.
        let flags = flags | O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
        let descriptor = Glibc.open(path.string, flags, 0o600)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            _ = Glibc.close(descriptor)
            throw .invalidArgument
        }
        return descriptor
    }

    private static func isTorn(_ descriptor: CInt) -> Bool {
        var status = stat()
        var last: UInt8 = 0
        guard fstat(descriptor, &status) == 0, status.st_size > 0,
            pread(descriptor, &last, 1, status.st_size - 1) == 1
        else { return false }
        return last != UInt8(ascii: "\n")
    }
}
