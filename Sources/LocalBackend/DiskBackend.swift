// A disk: rows in an SQLite database, bytes in files beside it.

public import BlobStorage

/// A data directory's catalog and byte store.
public typealias DiskBackend = PairedBackend<LocalCatalog, LocalByteStore>
