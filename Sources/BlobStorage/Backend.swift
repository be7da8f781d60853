// The rows and the bytes of one place, which belong together.

/// Where a server keeps everything: a catalog, and the byte store whose places that catalog's rows may name.
public protocol Backend<Place>: Sendable {
    /// What tells bytes of a blob from those that a later upload of the same ones puts in their place.
    associatedtype Place: Sendable
    associatedtype Rows: Catalog where Rows.Place == Place
    associatedtype Bytes: ByteStore where Bytes.Place == Place

    var catalog: Rows { get }
    var bytes: Bytes { get }
}

/// A backend put together of its two parts.
public struct PairedBackend<Rows: Catalog, Bytes: ByteStore>: Backend where Rows.Place == Bytes.Place {
    public let catalog: Rows
    public let bytes: Bytes

    public init(catalog: Rows, bytes: Bytes) {
        self.catalog = catalog
        self.bytes = bytes
    }
}
