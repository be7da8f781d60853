// Failures of uploads, blobs and files: facts alone. The registry of the surface that a client asked has the words and
// the status for them.

/// A fact that keeps a store from doing its work.
public struct BlobError: Error, Equatable, Sendable {
    public let reason: Reason
    /// The upload's true offset, where the thrower of this knows it.
    public let offset: Int64?

    public init(_ reason: Reason, offset: Int64? = nil) {
        (self.reason, self.offset) = (reason, offset)
    }

    public enum Reason: Equatable, Sendable {
        /// The upload is not there, or not the caller's: which of the two is nobody's business.
        case uploadUnknown
        /// Acknowledged bytes of an upload are not there any more, or may not be; it will never complete.
        case uploadFailed
        /// A newer request on the same upload ended this one.
        case uploadSuperseded

        /// Bytes came without a word on where they belong, and the upload holds more than its client was told.
        case holdsMore
        /// Bytes belong elsewhere than at the upload's offset.
        case offsetMismatch(given: Int64)
        /// The same, of a range.
        case rangeStartsElsewhere(first: Int64)
        /// A range and the body disagree about the number of bytes.
        case lengthMismatch(announced: Int64, body: Int64)
        /// The body ended before it was complete.
        case bodyIncomplete
        /// More bytes than the largest blob that is taken.
        case tooLarge(limit: Int64)
        /// The upload's bytes are others than the caller says. They are kept.
        case digestMismatch(given: BlobDigest, actual: BlobDigest, size: Int64)
        /// The upload was completed, and its bytes are others than the caller says now.
        case completedOtherwise(actual: BlobDigest, size: Int64)

        case blobUnknown
        /// A store of bytes holds none of this digest.
        case bytesUnknown
        /// The blob is known, but its bytes have changed.
        case blobCorrupt
        case fileUnknown

        case digestMalformed
        case nameInvalid(FileName.Fault)
        case pathInvalid(RelativePath.Fault)

        /// The access token lets nobody in.
        case tokenInvalid(TokenFault)
        /// There is an access token of this name or this secret.
        case tokenTaken

        /// More bytes are announced than the quota has left.
        case quotaExceeded(quota: Int64, left: Int64)
        /// More bytes are announced than the quota has left beside those that were let go of and are still held.
        case quotaHeld(quota: Int64, left: Int64, letGo: Int64)
        /// The quota came to its end while bytes arrived. Those up to the offset are kept.
        case quotaUsedUp
        case tooManyUploads(open: Int64)

        case insufficientStorage(Shortage)
        case unavailable(Unavailability)
    }

    /// Where there is no room.
    public enum Shortage: Equatable, Sendable {
        case disk
        /// The disk has room, but less than is to stay free, or would have.
        case freeSpace
        case catalog
        case database
        case bucket
    }

    /// Why a store cannot do its work now.
    public enum Unavailability: Equatable, Sendable {
        case stopping
        /// The system's error number tells why.
        case storeUnreadable(errno: Int32)
        case storeUnwritable(errno: Int32)
        case catalogUnreachable
        /// Another process has the catalog locked.
        case catalogBusy
        case catalogDamaged
        /// The catalog's file was taken away from the process that serves it.
        case catalogReplaced
        case databaseUnreachable
        case databaseBusy
        case databaseDamaged
        case bucketUnreachable
        case bucketBusy
        /// The bytes were taken away between their publication and its record.
        case contentGone
        /// What is done could not be recorded.
        case auditUnwritable
        /// Nobody has learnt yet by which keys to believe the tokens of the issuer.
        case signingKeysUnreachable
    }

    public var isUnavailable: Bool {
        if case .unavailable = reason { true } else { false }
    }

    public var isInsufficientStorage: Bool {
        if case .insufficientStorage = reason { true } else { false }
    }
}

/// Those that are thrown in many places.
extension BlobError {
    public static let uploadUnknown = BlobError(.uploadUnknown)
    public static let uploadFailed = BlobError(.uploadFailed)
    public static let uploadSuperseded = BlobError(.uploadSuperseded)
    public static let bytesUnknown = BlobError(.bytesUnknown)
    public static let blobCorrupt = BlobError(.blobCorrupt)
    public static let fileUnknown = BlobError(.fileUnknown)
    public static let stopping = BlobError(.unavailable(.stopping))
}

/// For logs.
extension BlobError: CustomStringConvertible {
    public var description: String {
        let fact =
            switch reason {
            case .insufficientStorage(let shortage): "insufficientStorage: \(shortage)"
            case .unavailable(let cause): "unavailable: \(cause)"
            default: "\(reason)"
            }
        return offset.map { "\(fact), the upload's offset is \($0)" } ?? fact
    }
}
