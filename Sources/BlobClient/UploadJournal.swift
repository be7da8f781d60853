// What a client remembers of its unfinished uploads, so that a later run goes on.

public import BlobCore
import Crypto
public import Foundation
import Synchronization
public import SystemPackage

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A folder with a small file for each unfinished upload.
///
/// It holds no token. Its records are checked against the server and the file before they are used, and losing one
/// costs only that an upload begins anew.
public struct UploadJournal: Sendable {
    /// An upload that an earlier run has left.
    public struct Entry: Sendable, Equatable {
        /// The server's address.
        public var server: String
        /// The file's absolute path.
        public var path: FilePath
        public var options: UploadOptions
        public var upload: UploadID
        /// Bytes of the file.
        public var size: Int64
        /// When it was last worked on.
        public var updated: Date
    }

    let directory: String

    /// - Parameter directory: is made when it is needed, for this user alone.
    public init(directory: String) {
        self.directory = directory
    }

    /// The uploads that earlier runs have left, the oldest first, without those that are being worked on.
    public func entries() -> [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { $0.hasSuffix(Self.suffix) }
            .compactMap { JournalRecord.read(directory + "/" + $0)?.entry }
            .sorted { $0.updated < $1.updated }
    }

    /// Whether somebody works on an upload right now.
    public func isInUse(_ upload: UploadID) -> Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.contains { name in
            let path = directory + "/" + name
            return JournalRecord.decode(path)?.upload == upload.description && JournalRecord.read(path) == nil
        }
    }

    /// Forgets an upload, unless somebody works on it.
    public func remove(_ entry: Entry) {
        JournalRecord(at: file(entry.server, entry.path, entry.options))?.remove()
    }

    /// The record of an upload of this file, locked until it is let go; `nil` when somebody else has it, or when there
    /// is no place for it.
    func record(server: String, path: FilePath, options: UploadOptions) -> JournalRecord? {
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return JournalRecord(at: file(server, path, options))
    }

    private static let suffix = ".json"

    private func file(_ server: String, _ path: FilePath, _ options: UploadOptions) -> String {
        // Without a path on the server as it always was, so that what an older version has noted is found.
        let rest = [options.name ?? "", "\(options.isTemporary)"] + (options.path.map { [$0] } ?? [])
        let key = [Array(server.utf8), path.bytes] + rest.map { Array($0.utf8) }
        let digest = BlobDigest(SHA256.hash(data: Data(key.joined(separator: "\n".utf8))))
        return "\(directory)/\(digest.hex.prefix(32))\(Self.suffix)"
    }
}

/// One file of the journal, and the right to write to it.
///
/// It is written in place, in one call and less than a page, so that `kill -9` leaves the old or the new. After a power
/// loss it may be neither: then it does not decode, and the upload begins anew.
final class JournalRecord: Sendable {
    struct Contents: Codable, Equatable {
        var server: String
        /// What people read.
        var path: String
        /// The path, where it is no UTF-8.
        var pathBytes: Data?
        var name: String?
        var isTemporary: Bool
        /// On the server; `path` is the file's own.
        var remotePath: String?
        var file: FileIdentity
        var upload: String?
        var beginning: Beginning?
        /// When the record was last written to.
        var updated: Date?

        init(server: String, path: FilePath, options: UploadOptions, file: FileIdentity) {
            (self.server, self.path, self.file) = (server, path.string, file)
            pathBytes = String(validating: path) == nil ? Data(path.bytes) : nil
            (name, isTemporary, remotePath) = (options.name, options.isTemporary, options.path)
        }
    }

    /// The first bytes of a file that a run has read. Earlier versions noted them in another form, and read those
    /// that the server has without comparing them.
    struct Beginning: Codable, Equatable {
        var byteCount: Int64
        /// Of the bytes, in hexadecimal digits.
        var digest: String
    }

    private let path: String
    private let descriptor: CInt
    private let contents: Mutex<Contents?>
    /// The digest's position when it was last noted.
    private let noted = Mutex<Int64>(0)

    /// Bytes between two notes: what a later run may have to read once more.
    private static let spacing: Int64 = 16 << 20

    /// Locks a record, which is made if it is not there; `nil` when another process has it.
    init?(at path: String) {
        self.path = path
        while true {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { return nil }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                close(descriptor)
                return nil
            }
            // Removed by the one who had the lock before: another file may have the name by now.
            if Self.isFile(descriptor, at: path) {
                self.descriptor = descriptor
                break
            }
            close(descriptor)
        }
        contents = Mutex(Self.decode(path))
    }

    deinit {
        close(descriptor)
    }

    private static func isFile(_ descriptor: CInt, at path: String) -> Bool {
        var (own, other) = (stat(), stat())
        return fstat(descriptor, &own) == 0 && stat(path, &other) == 0
            && (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)
    }

    /// Reads a record that nobody works on.
    static func read(_ path: String) -> Contents? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return nil }
        return decode(path)
    }

    fileprivate static func decode(_ path: String) -> Contents? {
        // The first line; a longer one may have been there before.
        guard let line = FileManager.default.contents(atPath: path)?.split(separator: UInt8(ascii: "\n")).first else {
            return nil
        }
        return try? JSONDecoder().decode(Contents.self, from: line)
    }

    // MARK: Notes

    /// What an earlier run began and that is still to be had.
    var upload: UploadID? { contents.withLock { $0?.upload.flatMap { UploadID(parsing: $0) } } }

    var beginning: Beginning? { contents.withLock { $0?.beginning } }

    /// What the file looked like to the run that has left the upload.
    var file: FileIdentity? { contents.withLock { $0?.upload == nil ? nil : $0?.file } }

    /// Goes on with the upload, of a file whose bytes are the same and whose identity may be another.
    func keep(_ file: FileIdentity) {
        change { $0.file = file }
    }

    /// Begins the record anew.
    ///
    /// - Returns: the upload that it was about.
    func replace(_ new: Contents) -> UploadID? {
        contents.withLock { contents in
            let old = contents
            contents = new
            return old?.upload.flatMap { UploadID(parsing: $0) }
        }
    }

    func began(_ upload: UploadID) {
        change { $0.upload = upload.description }
    }

    /// Notes how far the file has been hashed, now and then. Blocks.
    func note(_ digest: CountingDigest) {
        guard digest.count - noted.withLock({ $0 }) >= Self.spacing else { return }
        noted.withLock { $0 = digest.count }
        change { $0.beginning = Beginning(byteCount: digest.count, digest: digest.digest.hex) }
    }

    func forget() {
        noted.withLock { $0 = 0 }
        change { ($0.upload, $0.beginning) = (nil, nil) }
    }

    func remove() {
        unlink(path)
        contents.withLock { $0 = nil }
    }

    /// Leaves the record to the next run, even while a request that was given up still holds it. One without an
    /// upload is removed.
    func letGo() {
        contents.withLock { contents in
            if contents?.upload == nil, Self.isFile(descriptor, at: path) { unlink(path) }
            contents = nil
            flock(descriptor, LOCK_UN)
        }
    }

    private func change(_ change: (inout Contents) -> Void) {
        contents.withLock { contents in
            guard var new = contents else { return }
            change(&new)
            new.updated = Date()
            contents = new
            guard let line = try? JSONEncoder().encode(new) else { return }
            // A journal that cannot be written is as good as none.
            _ = (line + [UInt8(ascii: "\n")]).withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
            _ = ftruncate(descriptor, line.count + 1)
        }
    }
}

extension JournalRecord.Contents {
    private var filePath: FilePath {
        guard let pathBytes else { return FilePath(path) }
        return FilePath(platformString: pathBytes.map { CChar(bitPattern: $0) } + [0])
    }

    fileprivate var entry: UploadJournal.Entry? {
        guard let upload = upload.flatMap({ UploadID(parsing: $0) }) else { return nil }
        return UploadJournal.Entry(
            server: server, path: filePath,
            options: UploadOptions(name: name, isTemporary: isTemporary, path: remotePath),
            upload: upload, size: file.size, updated: updated ?? .distantPast
        )
    }
}
