// The errors that more than one part of the storage throws: a client is told the same in the same words.

public import BlobCore

extension BlobError {
    /// The upload is not there, or not the caller's: which of the two is nobody's business.
    public static let uploadUnknown = BlobError(
        .uploadUnknown, "There is no such upload. It may have been completed, cancelled or expired: start a new one."
    )

    /// Acknowledged bytes of an upload are not there any more, or may not be.
    public static let uploadFailed = BlobError(
        .uploadFailed, "The storage lost bytes of this upload; it cannot be completed. Start a new one."
    )

    public static let uploadSuperseded = BlobError(
        .uploadSuperseded,
        "A newer request on the same upload ended this one. What had arrived was kept: ask for the upload's status."
    )

    public static let blobCorrupt = BlobError(
        .blobCorrupt,
        "The bytes of this blob are not what was uploaded. Upload them again, or ask the administrator to restore them."
    )

    public static let fileUnknown = BlobError(.fileUnknown, "There is no such file.")

    public static let stopping = BlobError(
        .unavailable, "The server is stopping; try again.", detail: .retryAfter(seconds: 5)
    )
}
