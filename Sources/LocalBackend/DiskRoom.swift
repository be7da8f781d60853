// The room on a data directory's disk: what is free, and what has to stay so.

import BlobCore
import BlobStorage
import Glibc
public import Logging
import SystemPackage

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

/// Says whether there is room for more. Whoever adds anything asks here first: bytes, and rows too.
///
/// Every call may block.
public final class DiskRoom: Sendable {
    typealias Measure = @Sendable (FilePath) throws(Errno) -> FreeSpace

    private let directory: DataDirectory
    private let floor: Int64
    private let disk: Disk
    private let measure: Measure

    /// - Parameters:
    ///   - directory: locked by this process, or only visited.
    ///   - floor: bytes that are to stay free.
    public convenience init(
        on directory: DataDirectory, floor: Int64, logger: Logger = Logger(label: "blobd.storage")
    ) {
        self.init(on: directory, floor: floor, logger: logger) { (path) throws(Errno) in try FreeSpace(of: path) }
    }

    /// - Parameter measure: tells what is free on the disk of a directory.
    init(
        on directory: DataDirectory, floor: Int64, logger: Logger = Logger(label: "blobd.storage"),
        measuring measure: @escaping Measure
    ) {
        (self.directory, self.floor, self.measure) = (directory, floor, measure)
        disk = Disk(logger: logger)
    }

    /// What is free now.
    func free() throws(BlobError) -> FreeSpace {
        do throws(Errno) {
            return try measure(directory.uploads)
        } catch {
            throw disk.reading(error.rawValue, directory.uploads)
        }
    }

    /// Why `count` more bytes, or rows, cannot be taken; `nil` when they can.
    func shortage(adding count: Int64 = 0) throws(BlobError) -> BlobError.Shortage? {
        let free = try free()
        if free.bytes <= 0 || free.files <= 0 { return .disk }
        let (left, overflow) = free.bytes.subtractingReportingOverflow(count)
        return overflow || left < floor ? .freeSpace : nil
    }

    /// - Throws: ``BlobError/Reason/insufficientStorage(_:)`` when there is no room for `count` more bytes.
    func require(_ count: Int64) throws(BlobError) {
        if let shortage = try shortage(adding: count) { throw BlobError(.insufficientStorage(shortage)) }
    }
}
