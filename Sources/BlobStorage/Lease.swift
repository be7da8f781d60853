// The right to write to an upload, which only a catalog gives.

public import BlobCore
public import struct Foundation.Date

/// The outcome of a claim.
public enum Claimed: Equatable, Sendable {
    case open(Lease)
    /// The upload was completed before: the file that it became.
    case completed(File)
}

/// The right to write to an open upload, until somebody else claims it.
///
/// Only changes with the newest lease count. Catalogs alone make one, and say so where they import this module.
public struct Lease: Equatable, Sendable {
    /// As claimed or last advanced.
    public let upload: Upload
    /// The fencing number: every claim raises it, and only the holder of the highest moves the offset.
    public let epoch: Int64

    public var id: UploadID { upload.id }
    public var offset: Int64 { upload.offset }

    /// - Parameter upload: open, as the row is after the claim that raised its epoch to this.
    @_spi(Catalogs)
    public init(to upload: Upload, epoch: Int64) {
        precondition(upload.state == .open, "who may write to an upload that is over?")
        self.upload = upload
        self.epoch = epoch
    }

    /// Whether an upload that has these bytes costs more of its owner's quota than it does now.
    @_spi(Catalogs)
    public func isCheaper(than digest: RunningDigest) -> Bool { Charge.of(offset) < Charge.of(digest.count) }

    /// The same right after the row was advanced.
    ///
    /// - Parameter announced: the offset that the client was last told, as the row has it now.
    @_spi(Catalogs)
    public func advanced(to digest: RunningDigest, expires: Date, announced: Int64) -> Lease {
        precondition(digest.count >= offset, "what was durable is not any more")
        var upload = upload
        upload.digest = digest
        upload.expires = expires
        upload.announced = announced
        return Lease(to: upload, epoch: epoch)
    }
}
