// The nouns as a catalog records them.

public import BlobCore
public import struct Foundation.Date

/// A session in which a blob's bytes arrive.
public struct Upload: Equatable, Sendable {
    public enum State: Equatable, Sendable {
        case open
        /// Published: the file that it became. Kept until the upload expires, so that a lost answer can be repeated.
        case completed(File)
        /// The storage could not make its bytes durable; nothing after that is trusted.
        case failed
    }

    public let id: UploadID
    public let owner: Subject
    public let name: FileName?
    /// Whether its file is to be a temporary one.
    public let isTemporary: Bool
    /// Where the file lay in the folder that it came from, if its uploader told.
    public let path: RelativePath?
    public var expires: Date
    /// The offset that the client was last told.
    public var announced: Int64
    /// The digest of the durable bytes so far.
    public var digest: RunningDigest
    public var state: State

    /// The number of durable bytes so far.
    public var offset: Int64 { digest.count }

    /// An upload that holds nothing yet.
    public init(
        id: UploadID, owner: Subject, name: FileName?, isTemporary: Bool, path: RelativePath? = nil, expires: Date
    ) {
        self.id = id
        self.owner = owner
        self.name = name
        self.isTemporary = isTemporary
        self.path = path
        self.expires = expires
        announced = 0
        digest = RunningDigest()
        state = .open
    }
}

/// A named record that points at a blob.
public struct File: Equatable, Sendable {
    public let id: FileID
    public let digest: BlobDigest
    public let owner: Subject
    public let name: FileName
    public let size: Int64
    /// Where it lay in the folder that it came from, if its uploader told. Shown and searched, and nothing else.
    public let path: RelativePath?
    public let created: Date
    /// When a temporary file goes; `nil` for a permanent one.
    public let expires: Date?

    public var isTemporary: Bool { expires != nil }

    public init(
        id: FileID, digest: BlobDigest, owner: Subject, name: FileName, size: Int64, path: RelativePath? = nil,
        created: Date, expires: Date?
    ) {
        self.id = id
        self.digest = digest
        self.owner = owner
        self.name = name
        self.size = size
        self.path = path
        self.created = created
        self.expires = expires
    }
}

/// A blob that a live file points at, with what a download tells about it.
public struct Blob: Equatable, Sendable {
    public let digest: BlobDigest
    public let size: Int64
    /// The name of the oldest live permanent file, else of the oldest live temporary one: the oldest, so that nobody
    /// can rename another's download by uploading the same bytes.
    public let name: FileName
    /// When its last file goes; `nil` while a permanent file points at it.
    public let expires: Date?
    public let condition: BlobCondition

    public init(
        digest: BlobDigest, size: Int64, name: FileName, expires: Date?, condition: BlobCondition = .sound
    ) {
        self.digest = digest
        self.size = size
        self.name = name
        self.expires = expires
        self.condition = condition
    }
}

/// A blob, and where its bytes are.
public struct LocatedBlob<Place: Sendable>: Sendable {
    public let blob: Blob
    /// `nil` where the catalog does not know.
    public let place: Place?

    public init(_ blob: Blob, at place: Place?) {
        self.blob = blob
        self.place = place
    }
}

/// The condition of a blob's bytes, as far as it is known.
public enum BlobCondition: Int64, CaseIterable, Sendable {
    /// As they were published, as far as anybody knows.
    case sound
    /// A check that may not act on it found them changed: the server has to look.
    case suspected
    /// Changed or gone. The rest of them lies in quarantine, until the same bytes are uploaded again.
    case damaged
}

/// A blob's row, whether a file points at it or not.
public struct BlobRecord: Equatable, Sendable {
    public let digest: BlobDigest
    public let size: Int64
    public let condition: BlobCondition

    public init(digest: BlobDigest, size: Int64, condition: BlobCondition) {
        self.digest = digest
        self.size = size
        self.condition = condition
    }
}

/// A secret that lets a caller in. The secret itself is never stored, only its SHA-256.
public struct AccessToken: Equatable, Sendable {
    /// Names the token to administrators.
    public let name: String
    /// For whom it speaks. Several tokens may speak for one subject: a new one while the old one still works.
    public let subject: Subject
    public let scopes: Set<Scope>
    public let created: Date
    public let expires: Date?
    /// The beginning of the hour in which it let somebody in last; `nil` where nobody knows of any.
    public var lastUsed: Date?

    /// - Parameter subject: that of the token's name, if not given.
    public init(
        name: String, subject: Subject? = nil, scopes: Set<Scope>, created: Date, expires: Date?, lastUsed: Date? = nil
    ) {
        self.name = name
        self.subject = subject ?? Subject(name)
        self.scopes = scopes
        self.created = created
        self.expires = expires
        self.lastUsed = lastUsed
    }
}

/// The numbers of the whole catalog.
public struct Statistics: Equatable, Sendable {
    public var openUploads: Int64
    public var blobs: Int64
    public var files: Int64
    /// Bytes of all blobs, each counted once.
    public var blobBytes: Int64

    public init(openUploads: Int64 = 0, blobs: Int64 = 0, files: Int64 = 0, blobBytes: Int64 = 0) {
        self.openUploads = openUploads
        self.blobs = blobs
        self.files = files
        self.blobBytes = blobBytes
    }
}

/// The rows that were removed because their time had come.
public struct ExpiredRows: Equatable, Sendable {
    public var uploads: Set<UploadID>
    public var fileCount: Int

    public init(uploads: Set<UploadID> = [], fileCount: Int = 0) {
        self.uploads = uploads
        self.fileCount = fileCount
    }
}
