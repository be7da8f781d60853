// A bucket and a database, which any number of nodes share.

public import BlobStorage

/// The catalog in a database, and the byte store whose objects its rows name.
public typealias BucketBackend = PairedBackend<CloudCatalog, CloudByteStore>
