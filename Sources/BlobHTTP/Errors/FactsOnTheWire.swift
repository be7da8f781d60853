// What a fact of the stores is on the wire: its kind, its words, and what programs are told of it.

public import BlobCore
import SystemPackage

extension WireError {
    /// - Parameter subject: what held a text that was refused, such as a parameter.
    public init(_ error: BlobError, in subject: String? = nil) {
        self.init(error.kind, error.message(of: subject), detail: error.detail)
    }
}

extension BlobError {
    fileprivate var kind: ErrorKind {
        switch reason {
        case .uploadUnknown: .uploadUnknown
        case .uploadFailed: .uploadFailed
        case .uploadSuperseded: .uploadSuperseded
        case .holdsMore, .rangeStartsElsewhere: .rangeInvalid
        case .offsetMismatch: .offsetMismatch
        case .lengthMismatch: .lengthMismatch
        case .bodyIncomplete: .badRequest
        case .tooLarge: .tooLarge
        case .digestMismatch, .completedOtherwise, .digestMalformed: .digestInvalid
        case .blobUnknown, .bytesUnknown: .blobUnknown
        case .blobCorrupt: .blobCorrupt
        case .fileUnknown: .fileUnknown
        case .nameInvalid, .pathInvalid, .tokenTaken: .validationFailed
        case .tokenInvalid: .unauthorized
        case .quotaExceeded, .quotaHeld, .quotaUsedUp: .quotaExceeded
        case .tooManyUploads: .tooManyUploads
        case .insufficientStorage: .insufficientStorage
        case .unavailable: .unavailable
        }
    }

    /// What the bytes are says more than where they end, and that more than when to come back.
    fileprivate var detail: WireError.Detail? {
        switch reason {
        case .digestMismatch(_, let actual, let size), .completedOtherwise(let actual, let size):
            .content(digest: actual, size: size)
        case .unavailable(let cause) where offset == nil: cause.seconds.map(WireError.Detail.retryAfter)
        default: offset.map(WireError.Detail.offset)
        }
    }

    fileprivate func message(of subject: String?) -> String {
        let offset = offset.map(String.init) ?? "unknown"
        return switch reason {
        case .uploadUnknown:
            "There is no such upload. It may have been completed, cancelled or expired: start a new one."
        case .uploadFailed: "The storage lost bytes of this upload; it cannot be completed. Start a new one."
        case .uploadSuperseded:
            "A newer request on the same upload ended this one. What had arrived was kept: ask for the upload's status."
        case .holdsMore: "The upload holds \(offset) bytes, more than you were told: go on from there."
        case .offsetMismatch(let given): "The upload's offset is \(offset), not \(given)."
        case .rangeStartsElsewhere(let first):
            "The range begins at \(first), but the upload's offset is \(offset)."
        case .lengthMismatch(let announced, let body):
            "The range announces \(announced) bytes, but the body has \(body)."
        case .bodyIncomplete: "The body ended before it was complete. What had arrived was kept."
        case .tooLarge(let limit): "The largest blob that is taken here has \(limit) bytes."
        case .digestMismatch(let given, _, _):
            "The bytes have another digest than \(given). They are kept: append what is missing, or start anew."
        case .completedOtherwise: "The upload was completed with another digest."
        case .blobUnknown: "There is no blob of this digest here."
        case .bytesUnknown: "The blob's bytes are not here."
        case .blobCorrupt:
            "The bytes of this blob are not what was uploaded. Upload them again, or ask the administrator to restore them."
        case .fileUnknown: "There is no such file."
        case .digestMalformed:
            "A digest is 64 hexadecimal digits of SHA-256, with or without 'sha256:' before them."
        case .nameInvalid(let fault): "\(subject ?? "The name") \(fault.words)."
        case .pathInvalid(let fault): "\(subject ?? "The path") \(fault.words)."
        case .tokenInvalid:
            "The token is unknown, revoked or expired: send 'Authorization: Bearer TOKEN' with a valid one."
        case .tokenTaken: "There is a token of this name already."
        case .quotaExceeded(let quota, let left):
            "The quota of \(quota) bytes has \(left) left. Delete files, or ask for a larger quota."
        case .quotaHeld(let quota, let left, let letGo):
            """
            The quota of \(quota) bytes has \(left) left while \(letGo) bytes of what was deleted are still held. Try \
            again later, or ask for a larger quota.
            """
        case .quotaUsedUp: "The quota is used up. The upload keeps \(offset) bytes: delete files, then go on."
        case .tooManyUploads(let open): "The owner has \(open) open uploads already."
        case .insufficientStorage(let shortage):
            "\(shortage.words). What was acknowledged is safe; try again later."
        case .unavailable(let cause): cause.message
        }
    }
}

extension FileName.Fault {
    fileprivate var words: String {
        switch self {
        case .tooLong: "is longer than \(FileName.maximumByteCount) bytes of UTF-8"
        case .hidden(let character): character.words
        case .namesNothing: "names no file: give a name such as 'report.pdf', or leave it out"
        }
    }
}

extension RelativePath.Fault {
    fileprivate var words: String {
        switch self {
        case .tooLong: "is longer than \(RelativePath.maximumByteCount) bytes of UTF-8"
        case .hidden(let character): character.words
        case .segment: "has an empty, '.' or '..' segment: give a path such as '2026/may/call.wav'"
        }
    }
}

extension HiddenCharacter {
    fileprivate var words: String { "holds \(self), which nobody would see there: leave it out" }
}

extension BlobError.Shortage {
    var words: String {
        switch self {
        case .disk: "The disk is full"
        case .freeSpace: "The disk is too full to take more"
        case .catalog: "The disk is too full to record this"
        case .database: "The database has no room to record this"
        case .bucket: "The storage has no room for these bytes"
        }
    }
}

extension BlobError.Unavailability {
    fileprivate var message: String {
        switch self {
        case .stopping: "The server is stopping; try again."
        case .storeUnreadable(let code): "The store cannot be read: \(Self.words(for: code))."
        case .storeUnwritable(let code): "The store cannot be written: \(Self.words(for: code))."
        case .catalogUnreachable: "The catalog cannot be reached now; try again later."
        case .catalogBusy: "Another process is using the catalog; try again."
        case .catalogDamaged: "The catalog's database is damaged. Restore it from a backup."
        case .catalogReplaced: "The catalog's file was removed or replaced. Restart the server."
        case .databaseUnreachable: "The database cannot be reached now; try again."
        case .databaseBusy: "The database has too much to do now; try again."
        case .databaseDamaged: "The database is damaged. Restore it from a backup."
        case .bucketUnreachable: "The storage cannot be reached now; try again later."
        case .bucketBusy: "The storage asks for less work now; try again later."
        case .contentGone: "The bytes were removed while they were being published; try again."
        case .auditUnwritable:
            "The server cannot keep its audit log, and refuses every change for now; try again later."
        case .signingKeysUnreachable: "The token's issuer cannot be asked for its keys now; try again later."
        }
    }

    /// When trying again makes sense, where that is known better than of every other.
    fileprivate var seconds: Int? {
        switch self {
        case .stopping, .catalogUnreachable, .databaseUnreachable, .bucketUnreachable, .signingKeysUnreachable: 5
        case .catalogBusy, .databaseBusy, .contentGone: 1
        case .storeUnreadable, .storeUnwritable, .catalogDamaged, .catalogReplaced, .databaseDamaged, .bucketBusy,
            .auditUnwritable:
            nil
        }
    }

    private static func words(for code: Int32) -> String {
        switch Errno(rawValue: code) {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem: "too many files are open"
        case let error: error.description
        }
    }
}
