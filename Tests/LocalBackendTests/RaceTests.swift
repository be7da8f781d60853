// Many requests on one upload and one digest at the same time, over the real disk and database: whatever the order,
// every acknowledgement is true.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import SystemPackage
import Testing

@testable import LocalBackend

@Suite struct RaceTests {
    /// The services over a disk and a database, and a reclaimer that never rests and gives no grace.
    private final class Server: Sendable {
        let clock = ManualClock()
        let scratch: ScratchDirectory
        let catalog: LocalCatalog
        let bytes: LocalByteStore
        let blobs: BlobLife
        let uploads: UploadService
        let files: FileService
        let reclaimer: Reclaimer
        /// One that shares no locks with the services.
        let unlockedReclaimer: Reclaimer

        static let owner = Subject("ann")

        init() throws {
            scratch = try ScratchDirectory()
            catalog = try LocalCatalog(path: scratch.catalog, clock: clock)
            let directory = try DataDirectory(serving: FilePath(scratch.path + "/bytes"))
            bytes = LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
            let backend = DiskBackend(catalog: catalog, bytes: bytes)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            blobs = BlobLife(of: backend, capacity: 16, logger: logger)
            uploads = UploadService(
                backend: backend, blobs: blobs,
                settings: UploadSettings(
                    maximumBlobSize: 1 << 30, maximumOpenUploads: .max, quota: nil, uploadLifetime: .seconds(3600),
                    temporaryLifetime: .seconds(60)
                ),
                clock: clock
            )
            files = FileService(catalog: catalog, blobs: blobs)
            reclaimer = Reclaimer(backend: backend, blobs: blobs, grace: .zero, logger: logger)
            unlockedReclaimer = Reclaimer(
                backend: backend, blobs: BlobLife(of: backend, logger: logger), grace: .zero, logger: logger
            )
        }

        /// One round of reclaiming.
        func reclaim(_ care: Care) async throws {
            switch care {
            case .full: try await reclaimer.reclaim()
            case .withoutLocks: try await unlockedReclaimer.reclaim()
            case .withoutLookingAgain:
                for digest in try await catalog.dyingBlobs(for: .zero, limit: 1000) { try await bytes.remove(digest) }
            }
        }

        /// Runs the work beside a reclaimer.
        func reclaiming(
            _ care: Care = .full, _ work: @escaping @Sendable () async throws -> Void
        ) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !Task.isCancelled {
                        try await self.reclaim(care)
                        try? await Task.sleep(for: .milliseconds(1))
                    }
                }
                try await work()
                group.cancelAll()
            }
        }

        func content(of digest: BlobDigest) async throws -> [UInt8] {
            let measured = try await blobs.open(digest)
            guard case .file(let file) = measured.content else { return [] }
            // Not by the page cache alone: it may have dropped them.
            var buffer = ByteBuffer()
            _ = try file.read(0..<file.size, into: &buffer)
            return Array(buffer.readableBytesView)
        }
    }

    /// The care that a reclaimer takes.
    enum Care: CaseIterable {
        case full, withoutLocks, withoutLookingAgain
    }

    private static func body(_ bytes: [UInt8], pieces: Int) -> IncomingBody {
        let left = Ledger(bytes[...])
        let size = max(1, bytes.count / pieces)
        return IncomingBody(length: Int64(bytes.count)) {
            await Task.yield()
            return left.entries.withLock { left in
                guard !left.isEmpty else { return nil }
                defer { left = left.dropFirst(size) }
                return [ByteBuffer(bytes: left.prefix(size))]
            }
        }
    }

    private static func bytes(_ count: Int, _ generator: inout SplitMix64) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// The answers to one round's requests.
    private struct Told: Sendable {
        /// Bytes whose place in the upload was acknowledged.
        var appended: [(offset: Int64, bytes: [UInt8])] = []
        var completed: [File] = []
        var isDestroyed = false
    }

    private final class Ledger<Value: Sendable>: Sendable {
        let entries: Mutex<Value>

        init(_ value: Value) {
            entries = Mutex(value)
        }

        func note(_ change: (inout Value) -> Void) { entries.withLock { change(&$0) } }
    }

    private static func round(_ seed: UInt64, on server: Server) async throws {
        var generator = SplitMix64(seed: seed)
        let id = try await server.uploads.initiate(owner: Server.owner, name: nil, isTemporary: false).id
        let first = bytes(Int.random(in: 1...3000, using: &generator), &generator)
        let start = try await server.uploads.append(
            body(first, pieces: 2), to: id, of: Server.owner, guarded: .offset(0)
        ).offset
        #expect(start == Int64(first.count))
        let told = Ledger(Told(appended: [(0, first)]))
        let (one, two) = (bytes(2000, &generator), bytes(1500, &generator))
        let expires = generator.next().isMultiple(of: 8)
        await withTaskGroup(of: Void.self) { group in
            for bytes in [one, two] {
                group.addTask {
                    let end = try? await server.uploads.append(
                        body(bytes, pieces: 4), to: id, of: Server.owner, guarded: .offset(start))
                    guard let end = end?.offset, end == start + Int64(bytes.count) else { return }
                    told.note { $0.appended.append((start, bytes)) }
                }
            }
            group.addTask { _ = try? await server.uploads.status(id, of: Server.owner) }
            for _ in 0..<2 {
                group.addTask {
                    guard
                        let file = try? await server.uploads.complete(
                            id, of: Server.owner, with: .empty, guarded: nil, digest: nil)
                    else { return }
                    told.note { $0.completed.append(file) }
                    // 201, and at once it is there for everybody.
                    do {
                        #expect(try await server.blobs.open(file.digest).content.size == file.size)
                    } catch {
                        Issue.record("acknowledged, and then \(error)")
                    }
                }
            }
            if generator.next().isMultiple(of: 4) {
                group.addTask {
                    guard (try? await server.uploads.destroy(id, of: Server.owner)) != nil else { return }
                    told.note { $0.isDestroyed = true }
                }
            }
            if expires { group.addTask { server.clock.advance(by: .seconds(3601)) } }
        }
        try await check(told.entries.withLock { $0 }, seed, on: server)
    }

    private static func check(_ told: Told, _ seed: UInt64, on server: Server) async throws {
        guard let file = told.completed.first else { return }
        #expect(told.completed.allSatisfy { $0 == file }, "a repeated completion is the same, seed \(seed)")
        #expect(!told.isDestroyed, "completed and destroyed, seed \(seed)")
        let content = try await server.content(of: file.digest)
        #expect(BlobDigest(of: content) == file.digest, "seed \(seed)")
        // Of two appends to the same place at most one can have been acknowledged; it may have come before completion.
        for (offset, bytes) in told.appended {
            let place = content.dropFirst(Int(offset)).prefix(bytes.count)
            #expect(Array(place) == bytes, "acknowledged at \(offset), seed \(seed)")
        }
        try await server.files.destroy(file.id, for: Caller(subject: Server.owner, scopes: [.delete]))
    }

    @Test(.timeLimit(.minutes(60)), arguments: UInt64(0)..<8)
    func requestsOnOneUpload(batch: UInt64) async throws {
        let server = try Server()
        try await server.reclaiming {
            for number in 0..<Self.rounds { try await Self.round(batch << 32 | number, on: server) }
        }
        await server.catalog.close()
    }

    @Test(.timeLimit(.minutes(60)))
    func completionsOfOneDigest() async throws {
        #expect(try await Self.violations(beside: .full, rounds: Self.rounds) == [])
    }

    /// The proof that the test above would notice a violation.
    @Test(.timeLimit(.minutes(60)), arguments: [Care.withoutLocks, .withoutLookingAgain])
    func carelessReclaimer(care: Care) async throws {
        #expect(try await !Self.violations(beside: care, rounds: 10 * Self.rounds).isEmpty)
    }

    /// Lets many complete, download and remove the same few contents, beside a reclaimer without grace, until a promise
    /// is broken.
    private static func violations(beside care: Care, rounds: UInt64) async throws -> [String] {
        let server = try Server()
        let contents = (0..<4).map { [UInt8](repeating: $0, count: 100) }
        let violations = Ledger<[String]>([])
        try await server.reclaiming(care) {
            await withTaskGroup(of: Void.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        for number in 0..<rounds where violations.entries.withLock(\.isEmpty) {
                            let content = contents[(worker + Int(number)) % contents.count]
                            do {
                                let found = try await publishAndRemove(content, on: server)
                                if found != content { violations.note { $0.append("served \(found)") } }
                            } catch {
                                violations.note { $0.append("\(error)") }
                            }
                        }
                    }
                }
            }
        }
        await server.catalog.close()
        return violations.entries.withLock { $0 }
    }

    /// Returns the bytes of it that were served.
    private static func publishAndRemove(_ content: [UInt8], on server: Server) async throws -> [UInt8] {
        let id = try await server.uploads.initiate(owner: Server.owner, name: nil, isTemporary: false).id
        let file = try await server.uploads.complete(
            id, of: Server.owner, with: body(content, pieces: 1), guarded: nil, digest: nil)
        let found = try await server.content(of: file.digest)
        try await server.files.destroy(file.id, for: Caller(subject: Server.owner, scopes: [.delete]))
        return found
    }

    /// In each of the eight batches and for each of the eight workers; `RACE_ROUNDS` asks for more.
    private static let rounds: UInt64 =
        ProcessInfo.processInfo.environment["RACE_ROUNDS"].flatMap(UInt64.init) ?? 640
}
