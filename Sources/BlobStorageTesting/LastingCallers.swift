// Callers whose rights do not end, for tests of what they call.

public import BlobCore
public import BlobStorage

extension Caller {
    /// One who may go on for good.
    public init(subject: Subject, scopes: Set<Scope>) {
        self.init(subject: subject, scopes: scopes) { () throws(BlobError) in Caller(subject: subject, scopes: scopes) }
    }
}

extension UploadService {
    public func append(
        _ body: IncomingBody, to id: UploadID, of owner: Subject, guarded: AppendGuard?
    ) async throws(BlobError) -> Upload {
        try await append(body, to: id, of: Caller(subject: owner, scopes: [.upload]), guarded: guarded)
    }

    public func complete(
        _ id: UploadID, of owner: Subject, with body: IncomingBody, guarded: AppendGuard?, digest: BlobDigest?
    ) async throws(BlobError) -> File {
        try await complete(
            id, of: Caller(subject: owner, scopes: [.upload]), with: body, guarded: guarded, digest: digest)
    }
}
