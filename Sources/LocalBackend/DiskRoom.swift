// The room on a data directory's disk: what is free, what has to stay so, and what is kept for getting out of a full
// one.

public import BlobCore
public import BlobStorage
import Glibc
public import Logging
import Synchronization
public import SystemPackage

/// What a disk has left for this user.
struct FreeSpace: Equatable, Sendable {
    /// Bytes.
    var bytes: Int64
    /// Files that can be made.
    var files: Int64

    init(bytes: Int64, files: Int64 = .max) {
        (self.bytes, self.files) = (bytes, files)
    }

    /// Asks the file system that a directory is on.
    init(of directory: FilePath) throws(Errno) {
        var status = statvfs()
        guard statvfs(directory.string, &status) == 0 else { throw Errno(rawValue: errno) }
        // A file system without a size, or one that makes files as long as it has bytes, tells zeros.
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        self.bytes = status.f_blocks == 0 || overflow ? .max : Int64(clamping: bytes)
        files = status.f_files == 0 ? .max : Int64(clamping: UInt64(status.f_favail))
    }
}

/// Says whether there is room for more, and makes some for what must go on without it.
///
/// Whoever adds anything asks here first: bytes, and rows too. What removes, and what a start needs, may let go of the
/// reserve instead. Every call may block.
public final class DiskRoom: Sendable {
    typealias Measure = @Sendable (FilePath) throws(Errno) -> FreeSpace

    private struct State {
        /// Bytes that the reserve ought to hold, and does not.
        var missing: Int64
        /// Whether the log says already that there is no room for it.
        var isTold = false
        /// When it was last seen that there is room above the floor.
        var seen: ContinuousClock.Instant?
    }

    /// Rows that are added so soon after a look at the disk are no reason to look again: a look takes a hop to a
    /// thread, and they add a few KiB together.
    private static let freshness = Duration.milliseconds(10)

    private let directory: DataDirectory
    private let floor: Int64
    private let reserve: DiskReserve
    private let reserveByteCount: Int64
    private let disk: Disk
    private let measure: Measure
    private let state: Mutex<State>

    /// - Parameters:
    ///   - directory: locked by this process, or only visited: then its reserve is another's.
    ///   - floor: bytes that are to stay free.
    ///   - reserve: bytes that are to be kept for a full disk; `nil` for as many as were found.
    public convenience init(
        on directory: DataDirectory, floor: Int64, reserve: Int64? = nil,
        logger: Logger = Logger(label: "blobd.storage")
    ) {
        self.init(on: directory, floor: floor, reserve: reserve, logger: logger) { (path) throws(Errno) in
            try FreeSpace(of: path)
        }
    }

    /// - Parameter measure: tells what is free on the disk of a directory.
    init(
        on directory: DataDirectory, floor: Int64, reserve: Int64? = nil,
        logger: Logger = Logger(label: "blobd.storage"), measuring measure: @escaping Measure
    ) {
        (self.directory, self.floor, self.measure) = (directory, floor, measure)
        disk = Disk(logger: logger)
        reserveByteCount = reserve ?? directory.reserveByteCount
        self.reserve = DiskReserve(in: directory.path)
        state = Mutex(State(missing: max(0, reserveByteCount - self.reserve.byteCount)))
    }

    // MARK: Adding

    /// What is free now.
    func free() throws(BlobError) -> FreeSpace {
        do throws(Errno) {
            return try measure(directory.uploads)
        } catch {
            throw disk.reading(error.rawValue, directory.uploads)
        }
    }

    /// Why `count` more bytes, or rows, cannot be taken; `nil` when they can. What the reserve lacks is not free: else
    /// what was let go for deletions would be filled with uploads.
    func shortage(adding count: Int64 = 0) throws(BlobError) -> BlobError.Shortage? {
        let shortage = try foundShortage(adding: count)
        state.withLock { $0.seen = shortage == nil ? .now : nil }
        return shortage
    }

    private func foundShortage(adding count: Int64) throws(BlobError) -> BlobError.Shortage? {
        let (free, missing) = (try free(), state.withLock { $0.missing })
        let bytes = free.bytes - missing
        let files = free.files - (missing > 0 ? Int64(DiskReserve.fileCount) : 0)
        if bytes <= 0 || files <= 0 { return .disk }
        let (left, overflow) = bytes.subtractingReportingOverflow(count)
        return overflow || left < floor ? .freeSpace : nil
    }

    /// Whether there was room for a row a moment ago. Does not block.
    var wasThereLately: Bool {
        state.withLock { $0.seen }.map { ContinuousClock.now - $0 < Self.freshness } ?? false
    }

    /// - Throws: ``BlobError/Reason/insufficientStorage(_:)`` when there is no room for `count` more bytes.
    func require(_ count: Int64) throws(BlobError) {
        if let shortage = try shortage(adding: count) { throw BlobError(.insufficientStorage(shortage)) }
    }

    // MARK: The reserve

    /// Runs a step that has to go on when the disk is full: once more with the reserve's room, where it found none.
    func making<Value>(_ step: () throws(BlobError) -> Value) throws(BlobError) -> Value {
        do throws(BlobError) {
            return try step()
        } catch  where error.isInsufficientStorage && release() {
            return try step()
        }
    }

    /// Lets go of the reserve.
    ///
    /// - Returns: whether there is hope that a step finds room now that did not before.
    func release() -> Bool {
        guard directory.isLocked else { return false }
        return state.withLock { state in
            state.seen = nil
            guard reserve.remove() else { return state.missing > 0 }
            state.missing = reserveByteCount
            disk.logger.warning(
                "The disk is full: its reserve was let go, so that deleting goes on; make room on it",
                metadata: ["path": "\(directory.path)"]
            )
            return true
        }
    }

    /// The same for a file of something else, where that is on the same disk.
    public func release(for file: FilePath) -> Bool {
        var (own, other) = (stat(), stat())
        guard stat(directory.path.string, &own) == 0, stat(file.string, &other) == 0, own.st_dev == other.st_dev
        else { return false }
        return release()
    }

    /// Takes of the reserve what is missing and the disk has room for, with a quarter to spare; and gives one up that
    /// nobody wants any more.
    public func restore() {
        state.withLock { state in
            guard reserveByteCount > 0 else {
                _ = reserve.remove()
                return
            }
            guard state.missing > 0 else { return }
            do throws(Errno) {
                let free = try measure(directory.uploads)
                let found = min(state.missing, free.bytes - reserveByteCount / 4)
                guard found > 0, free.files >= Int64(DiskReserve.fileCount) else { throw .noSpace }
                try reserve.make(reserveByteCount - state.missing + found)
                state.missing -= found
                if state.missing > 0 { throw .noSpace }
                disk.logger.info(
                    "The disk has its reserve", metadata: ["bytes": .stringConvertible(reserveByteCount)])
                state.isTold = false
            } catch {
                state.missing = max(0, reserveByteCount - reserve.byteCount)
                if !state.isTold { tell(error) }
                state.isTold = true
            }
        }
    }

    private func tell(_ error: Errno) {
        disk.logger.warning(
            "The disk has no room for its whole reserve: nothing is added until it has",
            metadata: [
                "bytes": .stringConvertible(reserveByteCount), "error": "\(error)",
                "errno": .stringConvertible(error.rawValue),
            ]
        )
    }
}

extension DiskBackend {
    /// Makes up for what a full disk took, once there is room: to be called now and then.
    public func recoverRoom() async throws(BlobError) {
        if try await bytes.shortage() != nil { try await catalog.giveBackFreePages() }
        try await bytes.onThread { () throws(BlobError) in self.bytes.room.restore() }
    }
}
