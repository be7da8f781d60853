// The reserve of a disk: when it is there, when it goes, and for whom.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import Glibc
import NIOPosix
import Synchronization
import SystemPackage
import Testing

@testable import LocalBackend

@Suite struct DiskRoomTests {
    private let scratch: ScratchDirectory
    private let directory: DataDirectory
    private let reserve: DiskReserve
    private let free = Free()
    private static let size: Int64 = 1 << 20

    /// What the disk of a test has left.
    private final class Free: Sendable {
        private let space = Mutex(FreeSpace(bytes: 1 << 40))

        func now() -> FreeSpace { space.withLock { $0 } }
        func set(_ bytes: Int64, files: Int64 = 1000) {
            space.withLock { $0 = FreeSpace(bytes: bytes, files: files) }
        }
    }

    init() throws {
        scratch = try ScratchDirectory()
        directory = try DataDirectory(serving: FilePath(scratch.path))
        reserve = DiskReserve(in: FilePath(scratch.path))
    }

    private func room(floor: Int64 = 0, reserve: Int64 = size, on directory: DataDirectory? = nil) -> DiskRoom {
        DiskRoom(on: directory ?? self.directory, floor: floor, reserve: reserve) { [free] _ in free.now() }
    }

    @Test("the reserve holds real blocks, and goes at once")
    func realBlocks() throws {
        try reserve.make(Self.size)
        #expect(reserve.byteCount >= Self.size)
        #expect(reserve.remove())
        #expect(reserve.byteCount == 0)
        #expect(!reserve.remove())
    }

    @Test("a start keeps it where the disk has room, and makes it where it is missing")
    func start() throws {
        room().restore()
        #expect(reserve.byteCount >= Self.size)
        free.set(Self.size)
        // A server of another setting, and one without.
        room().restore()
        #expect(reserve.byteCount >= Self.size)
        room(reserve: 0).restore()
        #expect(reserve.byteCount == 0)
    }

    @Test("it is taken as far as there is room, with a quarter to spare")
    func takingBack() throws {
        let room = room()
        for (bytes, files) in [(Self.size / 4, 1000), (Self.size * 5 / 4, 3)] as [(Int64, Int64)] {
            free.set(bytes, files: files)
            room.restore()
            #expect(reserve.byteCount == 0)
        }
        free.set(Self.size * 3 / 4)
        room.restore()
        #expect((Self.size / 2..<Self.size).contains(reserve.byteCount))
        #expect(try room.shortage() == nil)
        free.set(Self.size / 2)
        #expect(try room.shortage() == .disk)
        free.set(Self.size * 3 / 4)
        room.restore()
        #expect(reserve.byteCount >= Self.size)
        free.set(1)
        #expect(try room.shortage() == nil)
    }

    @Test("what it lacks is not free")
    func missing() throws {
        let room = room(floor: 100)
        for (bytes, shortage) in [
            (Self.size + 100, nil), (Self.size + 99, .freeSpace), (Self.size, .disk),
        ] as [(Int64, BlobError.Shortage?)] {
            free.set(bytes)
            #expect(try room.shortage() == shortage)
        }
        free.set(Self.size * 2)
        room.restore()
        free.set(100)
        #expect(try room.shortage() == nil)
        #expect(room.release())
        #expect(try room.shortage() == .disk)
        #expect(reserve.byteCount == 0)
    }

    @Test("a step that finds no room is tried once more, with the reserve's")
    func making() throws {
        let room = room()
        room.restore()
        var tries = 0
        func step() throws(BlobError) {
            tries += 1
            if reserve.byteCount > 0 || tries > 2 { throw BlobError(.insufficientStorage(.disk)) }
        }
        try room.making(step)
        #expect(tries == 2)
        #expect(throws: BlobError.self) { try room.making(step) }
        #expect(tries == 4)
        tries = 2
        #expect(throws: BlobError.self) { try self.room(reserve: 0).making(step) }
        #expect(tries == 3)
    }

    @Test("who only visits a directory leaves its reserve alone")
    func visitor() throws {
        try reserve.make(Self.size)
        #expect(!room(reserve: 0, on: DataDirectory(visiting: directory.path)).release())
        #expect(reserve.byteCount >= Self.size)
        #expect(room(reserve: 0).release())
    }

    @Test("the lock's file tells the newest server, whatever an earlier one wrote", arguments: [true, false])
    func lockFile(isReadOnly: Bool) throws {
        let scratch = try ScratchDirectory()
        let lock = scratch.path + "/lock"
        try Data("2147483647 read-only\nmore".utf8).write(to: URL(fileURLWithPath: lock))
        let directory = try DataDirectory(serving: FilePath(scratch.path), isReadOnly: isReadOnly)
        let server = try #require(try DataDirectory.server(of: FilePath(scratch.path)))
        #expect(server.process == getpid() && server.isReadOnly == isReadOnly)
        #expect(try Data(contentsOf: URL(fileURLWithPath: lock)).last == UInt8(ascii: "\n"))
        withExtendedLifetime(directory) {}
    }
}

@Suite struct FullCatalogTests {
    private let directory: ScratchDirectory
    private let catalog: LocalCatalog

    init() throws {
        directory = try ScratchDirectory()
        catalog = try LocalCatalog(path: directory.catalog, clock: ManualClock())
    }

    @Test("in a transaction that finds no room, what removes is done without what adds")
    func removing() async throws {
        let owner = Subject("ann")
        var uploads: [Upload] = []
        for _ in 0..<64 { uploads.append(try await catalog.start()) }
        _ = try await catalog.run("PRAGMA max_page_count = 1")
        let name = String(repeating: "n", count: 4000)
        let refusals = try await withThrowingTaskGroup(of: Int.self) { group in
            for upload in uploads {
                group.addTask {
                    try await catalog.destroy(upload.id, of: owner)
                    return 0
                }
                group.addTask {
                    do throws(BlobError) {
                        _ = try await catalog.start(name)
                        return 0
                    } catch {
                        #expect(error.isInsufficientStorage)
                        return 1
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(refusals > 0)
        for upload in uploads { #expect(try await catalog.upload(upload.id) == nil) }
    }

    @Test("pages without rows go back to the disk")
    func shrinking() async throws {
        func pages() async throws -> Int { try await Int(catalog.run("PRAGMA page_count")[0]) ?? 0 }
        let before = try await pages()
        var uploads: [Upload] = []
        for _ in 0..<200 { uploads.append(try await catalog.start(String(repeating: "n", count: 4000))) }
        #expect(try await pages() > before + 200)
        for upload in uploads { try await catalog.destroy(upload.id, of: Subject("ann")) }
        try await catalog.giveBackFreePages()
        #expect(try await pages() < before + 20)
        let file = try FileManager.default.attributesOfItem(atPath: directory.catalog)[.size] as? Int
        #expect(try await file == pages() * 4096)
    }
}
