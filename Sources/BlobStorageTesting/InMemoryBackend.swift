// The models of a catalog and of a byte store, together.

public import BlobStorage

/// A backend in memory, for tests.
public struct InMemoryBackend: Backend {
    public let catalog: InMemoryCatalog
    public let bytes: InMemoryByteStore

    public init(catalog: InMemoryCatalog, bytes: InMemoryByteStore) {
        self.catalog = catalog
        self.bytes = bytes
    }
}
