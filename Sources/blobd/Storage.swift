// The storage of a server, put together; here for the embedded backend, beside it for that of many nodes.

import BlobCore
import BlobStorage
import CloudBackend
import Foundation
import LocalBackend
import Logging
import NIOCore
import NIOPosix
import SystemPackage

/// Everything that a server keeps, opened by a process that may change it.
struct Storage {
    let backend: any Backend
    let clock: any WallClock
    /// For reading files, where bytes are files.
    let threads: NIOThreadPool
    let blobs: BlobLife
    let reclaimer: Reclaimer
    let verifier: Verifier
    /// The work that this backend has to do now and then, beside that of all backends.
    let chores: [Chore]
    /// Makes room on a full disk for a file that is no part of the storage.
    let makeRoom: AuditFile.MakeRoom
    private let closing: @Sendable () async throws -> Void

    /// - Parameters:
    ///   - grace: how long a blob without files is kept.
    ///   - closing: lets pending work finish, and releases everything.
    init(
        backend: any Backend, clock: any WallClock, threads: NIOThreadPool, grace: Duration, logger: Logger,
        chores: [Chore] = [], makeRoom: @escaping AuditFile.MakeRoom = { _ in false },
        closing: @escaping @Sendable () async throws -> Void
    ) {
        self.backend = backend
        self.clock = clock
        self.threads = threads
        self.chores = chores
        self.makeRoom = makeRoom
        self.closing = closing
        blobs = BlobLife(of: backend, logger: logger)
        reclaimer = Reclaimer(backend: backend, blobs: blobs, grace: grace, logger: logger)
        verifier = Verifier(catalog: backend.catalog, blobs: blobs, logger: logger)
    }

    /// Does something with the data; then lets pending work finish and releases everything, also after an error: a
    /// client of the bucket that was forgotten open ends a debug build.
    func whileOpen<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await blobd.whileOpen(closing: closing, body)
    }
}

/// Does something with what was opened, then closes it, also after an error.
func whileOpen<Value>(
    closing close: () async throws -> Void, _ body: () async throws -> Value
) async throws -> Value {
    let value: Value
    do {
        value = try await body()
    } catch {
        // The first error is the one to tell.
        try? await close()
        throw error
    }
    try await close()
    return value
}

extension Storage {
    /// The storage that the settings choose.
    static func opened(_ settings: Settings, logger: Logger) async throws -> Storage {
        switch settings.storage {
        case .local:
            try local(
                in: DataDirectory(serving: FilePath(settings.data), isReadOnly: settings.isReadOnly),
                beginsGeneration: true, freeSpaceFloor: settings.minFreeSpace, reserve: settings.diskReserve,
                hidesPresence: settings.privateDownloads, grace: settings.reclaimGrace, logger: logger
            )
        case .cloud(let cloud):
            try await .cloud(cloud, by: .migrating, grace: settings.reclaimGrace, logger: logger)
        }
    }

    /// The data of one directory, for the only process that may change its blobs.
    ///
    /// - Parameters:
    ///   - beginsGeneration: whether this is a start of the server.
    ///   - freeSpaceFloor: bytes of the disk that are left free.
    ///   - reserve: bytes to keep for a full disk; `nil` for as many as were kept before.
    ///   - hidesPresence: whether who may only upload must not learn what is here.
    /// - Throws: when the directory's contents cannot be used.
    static func local(
        in directory: DataDirectory, beginsGeneration: Bool = false, freeSpaceFloor: Int64, reserve: Int64? = nil,
        hidesPresence: Bool = false, grace: Duration, logger: Logger
    ) throws -> Storage {
        let clock = SteadyClock(logger: logger)
        let room = DiskRoom(on: directory, floor: freeSpaceFloor, reserve: reserve, logger: logger)
        let catalog = try LocalCatalog(
            path: directory.catalog.string, beginsGeneration: beginsGeneration, clock: clock, room: room,
            logger: logger
        )
        room.restore()
        let threads = NIOThreadPool(numberOfThreads: max(8, 4 * System.coreCount))
        threads.start()
        let bytes = LocalByteStore(
            directory: directory, threads: threads, room: room, hidesPresence: hidesPresence, logger: logger)
        let backend = DiskBackend(catalog: catalog, bytes: bytes)
        let chore = Chore(interval: .seconds(1)) { () throws(BlobError) in try await backend.recoverRoom() }
        return Storage(
            backend: backend, clock: clock, threads: threads, grace: grace, logger: logger, chores: [chore],
            makeRoom: room.release(for:)
        ) {
            await catalog.close()
            room.restore()
            try await threads.shutdownGracefully()
            // Its lock must outlast whatever writes.
            withExtendedLifetime(directory) {}
        }
    }
}

/// The data of a directory that may have a server: rows can be read and marked, bytes only read.
struct VisitedStorage {
    let backend: DiskBackend

    init(at path: String, logger: Logger) throws {
        let catalog = try LocalCatalog(
            path: DataDirectory.catalog(in: FilePath(path)).string, role: .visitor, clock: SystemClock(), logger: logger
        )
        let directory = DataDirectory(visiting: FilePath(path))
        let bytes = LocalByteStore(
            directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0, logger: logger),
            logger: logger
        )
        backend = DiskBackend(catalog: catalog, bytes: bytes)
    }

    func close() async {
        await backend.catalog.close()
    }
}

/// The process that serves a data directory; `nil` when there is none.
func server(of data: String) throws(OperatorError) -> DataDirectory.Server? {
    try DataDirectory.server(of: FilePath(data))
}

/// Tells a server that there is something to look at: see ``Upkeep``.
func wake(_ server: DataDirectory.Server) {
    // One that has just ended has nothing to look at.
    _ = kill(server.process, SIGUSR1)
}

/// Runs `body` with the catalog of a data directory, beside a server that may be running on it.
func visitCatalog<Value: Sendable>(
    in data: String, _ body: (any Catalog) async throws -> Value
) async throws -> Value {
    try DirectoryContents.requireStore(FilePath(data))
    DataDirectory.makeRoomIfUnserved(in: FilePath(data))
    let path = DataDirectory.catalog(in: FilePath(data)).string
    let catalog = try LocalCatalog(path: path, role: .visitor, clock: SystemClock())
    return try await whileOpen(closing: { await catalog.close() }) { try await body(catalog) }
}
