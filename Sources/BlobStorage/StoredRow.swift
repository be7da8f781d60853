// Rows as every catalog in a database has them: which column holds what, once.

public import BlobCore
public import struct Foundation.Date
public import struct Foundation.UUID

/// A row of a result. Columns are read by their index and without trust: what a damaged row holds must not stop the
/// process.
public protocol StoredRow {
    associatedtype ReadingError: Error

    func uuid(_ index: Int) throws(ReadingError) -> UUID
    func integer(_ index: Int) throws(ReadingError) -> Int64
    func optionalInteger(_ index: Int) throws(ReadingError) -> Int64?
    func flag(_ index: Int) throws(ReadingError) -> Bool
    func text(_ index: Int) throws(ReadingError) -> String
    func optionalText(_ index: Int) throws(ReadingError) -> String?
    func bytes(_ index: Int) throws(ReadingError) -> [UInt8]

    /// A row that no version of this program would have written.
    static func damaged(_ table: String) -> ReadingError
}

extension StoredRow {
    public func time(_ index: Int) throws(ReadingError) -> Date { Timestamp(milliseconds: try integer(index)).date }

    public func optionalTime(_ index: Int) throws(ReadingError) -> Date? {
        guard let milliseconds = try optionalInteger(index) else { return nil }
        return Timestamp(milliseconds: milliseconds).date
    }

    public func digest(_ index: Int) throws(ReadingError) -> BlobDigest {
        guard let digest = BlobDigest(bytes: try bytes(index)) else { throw Self.damaged("digests") }
        return digest
    }

    public func condition(_ index: Int) throws(ReadingError) -> BlobCondition {
        guard let condition = BlobCondition(rawValue: try integer(index)) else { throw Self.damaged("blobs") }
        return condition
    }
}

/// The state of an upload as its row holds it.
public enum StoredUploadState: Int64, CaseIterable, Sendable {
    case open
    case completed
    case failed
}

extension Upload {
    /// The columns that ``init(row:)`` reads.
    ///
    /// - Parameter offset: the name of that column.
    public static func columns(offset: String) -> String {
        """
        id, owner, name, temporary, expires, epoch, \(offset), announced, digest_state, state, file_id, file_digest, \
        file_created, file_expires, path
        """
    }

    public init<Row: StoredRow>(row: Row) throws(Row.ReadingError) {
        self.init(
            id: UploadID(try row.uuid(0)), owner: Subject(try row.text(1)),
            name: try row.optionalText(2).map(FileName.init(trusted:)), isTemporary: try row.flag(3),
            path: try row.optionalText(14).map(RelativePath.init(trusted:)), expires: try row.time(4)
        )
        announced = try row.integer(7)
        guard let digest = RunningDigest(encoded: try row.bytes(8)), digest.count == (try row.integer(6)) else {
            throw Row.damaged("uploads")
        }
        self.digest = digest
        switch StoredUploadState(rawValue: try row.integer(9)) {
        case .open: state = .open
        case .completed: state = .completed(try file(row: row))
        case .failed: state = .failed
        case nil: throw Row.damaged("uploads")
        }
    }

    private func file<Row: StoredRow>(row: Row) throws(Row.ReadingError) -> File {
        guard let id = FileID(value: try row.integer(10)) else { throw Row.damaged("uploads") }
        let digest = try row.digest(11)
        return File(
            id: id, digest: digest, owner: owner, name: name ?? FileName(digest), size: offset, path: path,
            created: try row.time(12), expires: try row.optionalTime(13)
        )
    }
}

extension Claimed {
    /// - Parameter row: of ``Upload/columns(offset:)``, as it is after the claim.
    /// - Returns: `nil` for an upload that has failed.
    public init?<Row: StoredRow>(row: Row) throws(Row.ReadingError) {
        let upload = try Upload(row: row)
        switch upload.state {
        case .open: self = .open(Lease(to: upload, epoch: try row.integer(5)))
        case .completed(let file): self = .completed(file)
        case .failed: return nil
        }
    }
}

extension File {
    /// The columns that ``init(row:from:)`` reads.
    public static let columns = "id, digest, owner, name, size, created, expires, path"

    /// - Parameter start: the column of the id, which the others follow.
    public init<Row: StoredRow>(row: Row, from start: Int = 0) throws(Row.ReadingError) {
        guard let id = FileID(value: try row.integer(start)) else { throw Row.damaged("files") }
        self.init(
            id: id, digest: try row.digest(start + 1), owner: Subject(try row.text(start + 2)),
            name: FileName(trusted: try row.text(start + 3)), size: try row.integer(start + 4),
            path: try row.optionalText(start + 7).map(RelativePath.init(trusted:)), created: try row.time(start + 5),
            expires: try row.optionalTime(start + 6)
        )
    }
}

extension FileQuery.Order {
    /// The column that it compares.
    public var column: String {
        switch self {
        case .name: "name"
        case .size: "size"
        case .created: "created"
        }
    }
}

extension BlobRecord {
    /// The columns that ``init(row:)`` reads.
    public static let columns = "digest, size, condition"

    public init<Row: StoredRow>(row: Row) throws(Row.ReadingError) {
        self.init(digest: try row.digest(0), size: try row.integer(1), condition: try row.condition(2))
    }
}

extension AccessToken {
    /// The columns that ``init(row:)`` reads. A token without a subject speaks for that of its name.
    public static let columns = "name, scopes, created, expires, coalesce(subject, name), last_used"

    public init<Row: StoredRow>(row: Row) throws(Row.ReadingError) {
        self.init(
            name: try row.text(0), subject: Subject(try row.text(4)), scopes: Set(stored: try row.text(1)),
            created: try row.time(2), expires: try row.optionalTime(3), lastUsed: try row.optionalTime(5)
        )
    }
}
