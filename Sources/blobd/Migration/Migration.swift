// Brings everything that a data directory holds into a database and a bucket.

import BlobCore
import BlobStorage
import CloudBackend
import LocalBackend
import Logging

/// One run of a migration: makes the target hold the same data as the source.
///
/// It can be stopped anywhere and run again; data that are there are not brought twice, and those that the source has
/// lost since are removed again. A source that changes meanwhile is followed as far as it had come.
struct Migration {
    let source: DiskBackend
    let target: BucketBackend
    /// Blobs that are brought at one time.
    let jobs: Int
    let report: MigrationReport
    let logger: Logger

    private var copying: Copying { Copying(source: source.bytes, target: target, logger: logger) }

    /// The rows of one page. All of them are one transaction of the target.
    private static let pageSize = 500

    /// - Returns: how much of the source is in the target now.
    func run() async throws -> MigrationOutcome {
        let version = try await source.catalog.version()
        try await target.catalog.beginImport(
            secret: try await source.catalog.secret(), of: version.identity.bytes, generation: version.generation
        )
        try await target.catalog.importTokens(try await source.catalog.tokensWithSecrets())
        report.begin(byteCount: try await source.catalog.statistics().blobBytes)
        let damaged = try await bringBlobs()
        let (files, missing) = try await bringFiles()
        let lost = try await bringUploads()
        return MigrationOutcome(files: files, missingFiles: missing, damagedBlobs: damaged, lostUploads: lost)
    }

    /// - Returns: the blobs whose bytes do not have their digest, or are gone.
    private func bringBlobs() async throws -> [BlobDigest] {
        try await withThrowingTaskGroup(of: BlobDigest?.self) { group in
            var (damaged, running): ([BlobDigest], Int) = ([], 0)
            var last: BlobDigest?
            repeat {
                let page = try await source.catalog.blobRecords(after: last, limit: Self.pageSize)
                let missing = try await target.catalog.missingBlobs(among: page.map(\.digest))
                for record in page {
                    guard missing.contains(record.digest) else {
                        report.skip(record.size)
                        continue
                    }
                    if running == jobs {
                        if let digest = try await group.next() ?? nil { damaged.append(digest) }
                        running -= 1
                    }
                    group.addTask { try await bring(record) ? nil : record.digest }
                    running += 1
                }
                last = page.count == Self.pageSize ? page.last?.digest : nil
            } while last != nil
            for try await case let digest? in group { damaged.append(digest) }
            return damaged
        }
    }

    /// - Returns: `false` when the blob is damaged.
    private func bring(_ record: BlobRecord) async throws -> Bool {
        guard try await source.catalog.blob(record.digest) != nil else {
            report.skip(record.size)
            return true
        }
        if record.condition != .damaged, try await copying.copy(record, report: report) { return true }
        // Its last file may have gone meanwhile, and its bytes with it.
        guard try await source.catalog.blob(record.digest) != nil else { return true }
        try await target.catalog.importDamagedBlob(record)
        report.damaged(record.digest)
        return false
    }

    /// - Returns: how many files the source has, and how many of them are not in the target yet.
    private func bringFiles() async throws -> (all: Int64, missing: Int64) {
        var (all, missing): (Int64, Int64) = (0, 0)
        var last: FileID?
        repeat {
            let page = try await source.catalog.files(after: last, limit: Self.pageSize)
            let end = page.count == Self.pageSize ? page.last?.id : nil
            let there = try await target.catalog.importFiles(page, after: last, through: end)
            all += Int64(page.count)
            missing += Int64(page.count) - there
            last = end
        } while last != nil
        return (all, missing)
    }

    /// - Returns: the uploads that have lost acknowledged bytes. They are failed in the target.
    private func bringUploads() async throws -> [UploadID] {
        var lost: [UploadID] = []
        var last: UploadID?
        repeat {
            let page = try await source.catalog.uploads(after: last, limit: Self.pageSize)
            let end = page.count == Self.pageSize ? page.last?.id : nil
            let over = try await target.catalog.uploadsThatAreOver(among: page.map(\.id))
            for upload in page where upload.state == .open || !over.contains(upload.id) {
                if upload.state == .open, try await copying.copy(upload) { continue }
                // It may have been completed or cancelled meanwhile: the next run brings its outcome.
                guard var now = try await source.catalog.upload(upload.id), now.state == upload.state else { continue }
                if now.state == .open {
                    now.state = .failed
                    lost.append(now.id)
                }
                try await target.catalog.importUpload(now)
            }
            try await target.catalog.keepUploads(page.map(\.id), after: last, through: end)
            last = end
        } while last != nil
        return lost
    }
}

/// How far a run has come.
struct MigrationOutcome {
    /// That the source has.
    let files: Int64
    /// Of these, those whose blobs came after the run had looked.
    let missingFiles: Int64
    let damagedBlobs: [BlobDigest]
    let lostUploads: [UploadID]
}
