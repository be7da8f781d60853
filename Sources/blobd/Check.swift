// Walks through rows and bytes both ways and tells what does not fit.

import BlobCore
import BlobStorage

/// One check of everything that a data directory holds.
struct Check {
    typealias Pace = @Sendable (Int) async -> Void

    let catalog: any Catalog
    let bytes: any ByteStore
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
        for fault in try await catalog.faults() { report.fault("the catalog: \(fault)") }
        let share = (samplePercent ?? 100) / 100
        let ranges = DigestRange.sample(share)
        let byteCount = isReading ? Double(try await catalog.statistics().blobBytes) * share : 0
        report.begin(byteCount: Int64(byteCount), samplePercent: samplePercent)
        for range in ranges {
            try await catalog.forEachBlob(in: range, jobs: jobs) { [report] record throws(BlobError) in
                let verdict = try await examine(record) { report.read($0) }
                report.examined(record, verdict)
            }
        }
        try await checkUploads()
        for range in ranges { try await countOrphans(in: range) }
        return report.end()
    }

    /// The examination beside a running server, which alone may change what it serves: damage is marked, and the server
    /// looks for itself.
    func suspect(_ record: BlobRecord, pace: Pace) async throws(BlobError) -> Verdict {
        let first = try await Verifier.look(at: record, in: bytes, reading: isReading, pace: pace).verdict
        guard first.isDamage else { return first }
        let (verdict, place) = try await Verifier.lookAgain(
            at: record, in: bytes, listedIn: catalog, reading: isReading)
        if verdict.isDamage && record.condition == .sound {
            try await catalog.setCondition(.suspected, of: record.digest, at: place)
        }
        return verdict
    }

    /// Whether the server has suspected blobs still to look at.
    func isWaitingForTheServer() async throws(BlobError) -> Bool {
        try await !catalog.suspectedBlobs(limit: 1).isEmpty
    }

    private func checkUploads() async throws(BlobError) {
        try await catalog.forEachOpenUpload { upload throws(BlobError) in
            guard upload.offset > 0 else { return }
            let held = try await bytes.heldByteCount(of: upload.id) ?? 0
            guard held < upload.offset else { return }
            // Completed or cancelled meanwhile, its bytes are rightly gone.
            guard let now = try await catalog.upload(upload.id), now.state == .open else { return }
            report.fault("the upload \(upload.id) holds \(held) bytes, and \(upload.offset) were acknowledged")
        }
    }

    /// Bytes without a row are no damage: the reclaimer removes them.
    private func countOrphans(in range: DigestRange) async throws(BlobError) {
        for byte in range.leadingBytes {
            let held = try await bytes.heldBlobs(beginningWith: byte).filter(range.contains)
            try await catalog.forEachUnknownBlob(among: held) { _ throws(BlobError) in report.orphan() }
        }
    }
}
