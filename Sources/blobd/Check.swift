// Walks through rows and bytes both ways and tells of those that do not fit.

import BlobCore
import BlobStorage

/// One check of everything that a data directory holds.
struct Check {
    typealias Pace = @Sendable (Int) async -> Void

    let backend: any Backend
    /// Whether blobs are read, or only their sizes compared.
    let isReading: Bool
    /// How much of a hundred blobs is examined, others each time; `nil` for all of them.
    let samplePercent: Double?
    /// Blobs that are examined at one time.
    let jobs: Int
    let report: CheckReport

    /// - Parameter examine: looks at one blob, and acts on damage.
    /// - Returns: whether everything is well.
    func run(
        examining examine: @escaping @Sendable (BlobRecord, Pace) async throws(BlobError) -> Verdict
    ) async throws(BlobError) -> Bool {
        for fault in try await backend.catalog.faults() { report.fault("the catalog: \(fault)") }
        let share = (samplePercent ?? 100) / 100
        let ranges = DigestRange.sample(share)
        let byteCount = isReading ? Double(try await backend.catalog.statistics().blobBytes) * share : 0
        report.begin(byteCount: Int64(byteCount), samplePercent: samplePercent)
        for range in ranges {
            try await backend.catalog.forEachBlob(in: range, jobs: jobs) { [report] record throws(BlobError) in
                let verdict = try await examine(record) { report.read($0) }
                report.examined(record, verdict)
            }
        }
        try await checkUploads()
        for range in ranges { try await countOrphans(in: range) }
        return report.end()
    }

    /// The examination beside a running server, which alone may change its bytes: damage is marked, and the server
    /// looks for itself.
    func suspect(_ record: BlobRecord, pace: Pace) async throws(BlobError) -> Verdict {
        try await backend.suspect(record, reading: isReading, pace: pace)
    }

    /// Whether the server has suspected blobs still to look at.
    func isWaitingForTheServer() async throws(BlobError) -> Bool {
        try await !backend.catalog.suspectedBlobs(limit: 1).isEmpty
    }

    private func checkUploads() async throws(BlobError) {
        try await backend.catalog.forEachOpenUpload { upload throws(BlobError) in
            guard upload.offset > 0 else { return }
            let held = try await backend.bytes.heldByteCount(of: upload.id) ?? 0
            guard held < upload.offset else { return }
            // Completed or cancelled meanwhile, its bytes are rightly gone.
            guard let now = try await backend.catalog.upload(upload.id), now.state == .open else { return }
            report.fault("the upload \(upload.id) holds \(held) bytes, and \(upload.offset) were acknowledged")
        }
    }

    /// Bytes without a row are no damage: the reclaimer removes them.
    private func countOrphans(in range: DigestRange) async throws(BlobError) {
        for byte in range.leadingBytes {
            let held = try await backend.bytes.heldBlobs(beginningWith: byte).filter(range.contains)
            try await backend.catalog.forEachUnknownBlob(among: held) { _ throws(BlobError) in report.orphan() }
        }
    }
}
