// The limits of uploads: sizes, numbers and times.

import BlobCore
import Foundation

/// The limits and lifetimes of uploads.
public struct UploadSettings: Sendable {
    /// The largest blob, in bytes.
    public var maximumBlobSize: Int64
    /// Open uploads that one subject may have.
    public var maximumOpenUploads: Int
    /// What one subject may take up with files and open uploads, at the price of ``Charge``; `nil` for no limit.
    public var quota: Int64?
    /// How long an unfinished upload lives after its last byte.
    public var uploadLifetime: Duration
    /// How long a temporary file lives after its completion.
    public var temporaryLifetime: Duration

    public init(
        maximumBlobSize: Int64, maximumOpenUploads: Int, quota: Int64?, uploadLifetime: Duration,
        temporaryLifetime: Duration
    ) {
        self.maximumBlobSize = maximumBlobSize
        self.maximumOpenUploads = maximumOpenUploads
        self.quota = quota
        self.uploadLifetime = uploadLifetime
        self.temporaryLifetime = temporaryLifetime
    }
}

/// The settings, as they bind an upload now.
struct UploadLimits: Sendable {
    let settings: UploadSettings
    let catalog: any Catalog
    let clock: any WallClock

    /// When an upload goes to which nothing more comes.
    var expiry: Date { clock.now.addingTimeInterval(settings.uploadLifetime.timeInterval) }

    /// When the file of an upload goes that is completed now; `nil` for a permanent one.
    func fileExpiry(of upload: Upload) -> Date? {
        upload.isTemporary ? clock.now.addingTimeInterval(settings.temporaryLifetime.timeInterval) : nil
    }

    /// How many bytes the quota lets an upload have, as far as anybody knows before they are here: the catalog alone
    /// decides, when it records them. `nil` for any number.
    ///
    /// - Throws: ``BlobError/Reason/quotaExceeded(quota:left:)`` and ``BlobError/Reason/quotaHeld(quota:left:letGo:)``
    ///   when those that are to come are more.
    func largestSize(of upload: Upload, adding count: Int64) async throws(BlobError) -> Int64? {
        guard let quota = settings.quota else { return nil }
        let usage = try await catalog.usage(of: upload.owner)
        let size = Charge.byteCount(from: upload.offset, adding: usage.room(within: quota))
        guard count <= size - upload.offset else { throw usage.excess(over: quota, left: size - upload.offset) }
        return size
    }

    /// Why the catalog found no room for a subject's new upload.
    func excess(of owner: Subject) async throws(BlobError) -> BlobError {
        guard let quota = settings.quota else { return BlobError(.quotaUsedUp) }
        let usage = try await catalog.usage(of: owner)
        return usage.excess(over: quota, left: max(0, usage.room(within: quota)))
    }

    /// - Throws: ``BlobError/Reason/tooLarge(limit:)`` when the bytes to come would make the blob too large.
    func checkSize(_ offset: Int64, adding count: Int64) throws(BlobError) {
        let (size, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, size <= settings.maximumBlobSize else {
            throw BlobError(.tooLarge(limit: settings.maximumBlobSize))
        }
    }
}

extension Usage {
    fileprivate func excess(over quota: Int64, left: Int64) -> BlobError {
        let isHeld = room(within: quota) < quota - charge
        return BlobError(
            isHeld
                ? .quotaHeld(quota: quota, left: left, letGo: letGo) : .quotaExceeded(quota: quota, left: left)
        )
    }
}

extension Duration {
    /// In seconds.
    fileprivate var timeInterval: TimeInterval {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
