// A disk: rows in an SQLite database, bytes in files beside it.

public import BlobStorage

/// A data directory's catalog and byte store.
public struct DiskBackend: Backend {
    public let catalog: LocalCatalog
    public let bytes: LocalByteStore

    public init(catalog: LocalCatalog, bytes: LocalByteStore) {
        self.catalog = catalog
        self.bytes = bytes
    }
}
