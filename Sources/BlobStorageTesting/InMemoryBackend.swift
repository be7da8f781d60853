// The models of a catalog and of a byte store, together.

public import BlobStorage

/// A backend in memory, for tests.
public typealias InMemoryBackend = PairedBackend<InMemoryCatalog, InMemoryByteStore>
