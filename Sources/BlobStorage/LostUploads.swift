// Uploads of which the storage lost bytes.

import BlobCore
import Synchronization

/// Sees to it that an upload of which bytes were lost is marked failed, however long the rows cannot be written: the
/// disk that lost the bytes may refuse to record it at first.
///
/// Uploads that wait to be recorded are forgotten when the process ends: an upload is reopened at its row's offset,
/// everything before that outlasted a sync, and the rest is cut.
final class LostUploads: Sendable {
    private let catalog: any Catalog
    /// With the lease of the writer that met the loss.
    private let unrecorded = Mutex<[UploadID: Lease]>([:])

    init(catalog: any Catalog) {
        self.catalog = catalog
    }

    /// Runs a step of the byte store, and records it when the store lost bytes of the upload: nothing of it may be
    /// trusted after that.
    func recording<Value: Sendable>(
        of lease: Lease, _ step: @Sendable () async throws(BlobError) -> Value
    ) async throws(BlobError) -> Value {
        do throws(BlobError) {
            return try await step()
        } catch {
            if error.reason == .uploadFailed {
                unrecorded.withLock { $0[lease.id] = lease }
                try await record(lease.id)
            }
            throw error
        }
    }

    /// Marks an upload failed if the store lost bytes of it.
    func record(_ id: UploadID) async throws(BlobError) {
        guard let lease = unrecorded.withLock({ $0[id] }) else { return }
        try await catalog.fail(lease)
        unrecorded.withLock { $0[id] = nil }
    }
}
