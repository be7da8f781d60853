// What a server tells its client.

public import BlobCore
public import struct Foundation.Date

/// A file on the server.
public struct StoredFile: Sendable, Equatable, Codable {
    /// By which it is looked up and deleted; `nil` when the server completed the upload and its answer was lost.
    public var id: String?
    public var name: String?
    /// Where it lay in the folder that it came from, if its uploader told; see ``UploadOptions/path``.
    public var path: String?
    public var size: Int64?
    /// The SHA-256 of its bytes, 64 hexadecimal digits, by which it is downloaded.
    public var digest: String?
    /// Where it is downloaded.
    public var url: String?
    public var mediaType: String?
    public var createdAt: Date?
    public var isTemporary: Bool?
    /// When it goes by itself.
    public var expiresAt: Date?
    /// The subject whose file it is, where the server tells.
    public var owner: String?

    enum CodingKeys: String, CodingKey {
        case id, name, path, size, digest, url, owner
        case mediaType = "media_type"
        case createdAt = "created_at"
        case isTemporary = "temporary"
        case expiresAt = "expires_at"
    }

    public init(id: String? = nil, digest: BlobDigest) {
        self.id = id
        self.digest = digest.hex
    }
}

/// Which files to list.
public struct FileQuery: Sendable, Equatable {
    public enum Order: String, Sendable, CaseIterable {
        case name, size
        case createdAt = "created_at"
    }

    /// What their names or paths hold.
    public var search: String?
    public var order: Order?
    public var isDescending = false
    /// How many to leave out at the beginning.
    public var skip = 0
    /// The ``FilePage/next`` of the page before, sent instead of ``skip``; all else must be as it was there.
    public var after: String?
    /// How many to list, 1 to 100.
    public var top = 100

    public init() {}
}

public struct FilePage: Sendable, Equatable, Codable {
    /// How many there are on all pages.
    public var count: Int
    /// The subject of the token that asked, where the server tells. With the scope `admin` the files of others are
    /// listed, too: only those whose ``StoredFile/owner`` this is are the caller's.
    public var subject: String?
    public var items: [StoredFile]
    /// The cursor of the following page, on servers that have cursors; `nil` on the last page, and on others always.
    public var next: String?
}

/// A blob, as a download would tell.
public struct BlobInfo: Sendable, Equatable {
    public var digest: BlobDigest
    /// In bytes, where the server tells.
    public var size: Int64?
    /// The name that the server proposes, without any directory; `nil` when it proposes none that a file can have.
    public var name: String?
}

/// How far an upload has come.
public struct UploadStatus: Sendable, Equatable {
    public var id: UploadID
    /// The bytes that are safe on the server.
    public var offset: Int64
    /// Whether the server tells exact offsets. The reference API tells an empty upload and one of a single byte alike:
    /// both have the offset 0 here.
    public var isOffsetExact: Bool
    /// When the server forgets the upload, if it tells.
    public var expires: Date?
    /// Append and complete need it.
    let token: String
}

/// What happens to a file on its way.
public enum TransferEvent: Sendable, Equatable {
    /// The way begins, or goes on, here; the number of all bytes where it is known.
    case began(at: Int64, size: Int64?)
    /// Bytes of the file that are not sent now have been read for its digest, so far: those that an earlier run has
    /// sent, or all of them once more when something has touched the file meanwhile.
    case reading(to: Int64, of: Int64)
    /// So many bytes have been handed to the network, or have come from it. Less than before when some were lost.
    case moved(to: Int64)
    /// Something broke, and is tried again after a pause.
    case retrying(BlobClientError, after: Duration)
    /// All has to be sent once more, and why.
    case startingOver(StartingOver)
}

/// Why bytes that were sent have to be sent again.
public enum StartingOver: Sendable, Equatable {
    /// The file is not the one of which an earlier run has sent a part.
    case fileChanged
    /// The server has forgotten the upload, or lost its bytes.
    case uploadLost
    /// The server holds other bytes than were sent.
    case wrongDigest
}
