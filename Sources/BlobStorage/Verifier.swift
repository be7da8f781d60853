// Reads blobs again and again, so that damage is found before somebody asks for it.

public import BlobCore
public import Logging

/// Compares blobs with their digests; see ``BlobLife/verify(_:reading:pace:)``.
///
/// Bytes that do not have their digest are put into quarantine and their blob is marked: from then on a download
/// is an error, never other bytes. Uploading the same content again makes the blob sound.
public final class Verifier: Sendable {
    private let catalog: any Catalog
    private let blobs: BlobLife
    private let logger: Logger

    private static let batchSize = 1000
    /// A server that has just started has better things to do.
    private static let firstDelay = Duration.seconds(600)

    public init(catalog: any Catalog, blobs: BlobLife, logger: Logger) {
        self.catalog = catalog
        self.blobs = blobs
        self.logger = logger
    }

    /// Verifies the blobs that others suspect.
    public func verifySuspected() async throws(BlobError) {
        while !Task.isCancelled {
            let suspected = try await catalog.suspectedBlobs(limit: Self.batchSize)
            for record in suspected { _ = try await blobs.verify(record, reading: true) }
            if suspected.count < Self.batchSize { return }
        }
    }

    /// Reads all blobs, again and again, until the task is cancelled.
    ///
    /// - Parameters:
    ///   - interval: from the beginning of one pass to that of the next, at least.
    ///   - rate: bytes per second, at most.
    public func run(every interval: Duration, rate: Int64) async throws {
        let pace = Pace(bytesPerSecond: rate)
        try await Task.sleep(for: min(interval, Self.firstDelay))
        // Anywhere: a server that is restarted often must not look at the same blobs each time.
        var range = DigestRange(after: .last(beginningWith: .random(in: 0 ... .max)), through: nil)
        while true {
            let start = ContinuousClock.now
            do throws(BlobError) {
                try await catalog.forEachBlob(in: range) { record throws(BlobError) in
                    _ = try await blobs.verify(record, reading: true) { try? await pace.wait(for: $0) }
                }
            } catch {
                logger.error("verifying blobs failed; trying again later", metadata: ["error": "\(error)"])
            }
            range = .all
            try await Task.sleep(until: start + interval)
        }
    }
}
