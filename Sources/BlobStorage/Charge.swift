// What bytes and rows cost of a subject's quota.

/// The price of a file or an open upload, in bytes of the quota. Every catalog keeps sums of it beside its rows.
public enum Charge {
    /// Bytes are given in blocks of this many.
    static let block: Int64 = 4096
    /// For the rows, and the names of what they speak of: no bytes are not for nothing.
    public static let rows: Int64 = 512

    public static func of(_ byteCount: Int64) -> Int64 {
        let (sum, overflow) = blocks(of: byteCount).addingReportingOverflow(rows)
        return overflow ? .max : sum
    }

    /// How many bytes an upload that holds some can hold for so much more.
    static func byteCount(from offset: Int64, adding room: Int64) -> Int64 {
        let (sum, overflow) = blocks(of: offset).addingReportingOverflow(max(0, room) / block * block)
        return overflow ? .max : sum
    }

    private static func blocks(of byteCount: Int64) -> Int64 {
        let (sum, overflow) = byteCount.addingReportingOverflow(block - 1)
        return (overflow ? .max : sum) / block * block
    }
}

/// What a subject takes up.
public struct Usage: Equatable, Sendable {
    /// The price of its files and of its open uploads. A blob that two files share costs each of them all of it.
    public var charge: Int64
    /// The price of what it let go of and the storage still holds.
    public var letGo: Int64
    public var openUploads: Int64

    public init(charge: Int64 = 0, letGo: Int64 = 0, openUploads: Int64 = 0) {
        self.charge = charge
        self.letGo = letGo
        self.openUploads = openUploads
    }

    /// What may still be added; less than nothing when it is too much already.
    ///
    /// To delete makes room at once: what is let go of does not count. But it takes up space for a while, and whoever
    /// sends and deletes without end must not fill the storage: with it, no more than twice the quota is held.
    public func room(within quota: Int64) -> Int64 {
        let left = quota - charge
        let (leftOfBoth, overflow) = left.addingReportingOverflow(quota - letGo)
        return min(left, overflow ? left : leftOfBoth)
    }
}
