// A bucket and a database, which any number of nodes share.

public import BlobStorage

/// The catalog in a database, and the byte store whose objects its rows speak of.
public struct BucketBackend: Backend {
    public let catalog: CloudCatalog
    public let bytes: CloudByteStore

    public init(catalog: CloudCatalog, bytes: CloudByteStore) {
        self.catalog = catalog
        self.bytes = bytes
    }
}
