// The rules of every byte store, checked on the one on disk, and the properties of a disk alone.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import SystemPackage
import Testing

@testable import LocalBackend

@Suite struct LocalByteStoreTests {
    private let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
    }

    @Test(arguments: ByteStoreConformance.allCases, [true, false])
    func conformance(rule: ByteStoreConformance, unnamedFiles: Bool) async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path), unnamedFiles: unnamedFiles)
        try await rule.check {
            LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>, [true, false])
    func randomOperations(seed: UInt64, unnamedFiles: Bool) async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path), unnamedFiles: unnamedFiles)
        try await RandomOperations(seed: seed, steps: 200).run(againstByteStore: {
            LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
        })
    }

    /// The names of an upload that is complete with its first bytes: none under `uploads/`, before or after.
    @Test func anUploadInOnePieceHasNoName() async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        try #require(directory.holdsUnnamedFiles, "the file system of \(directory.path) has no O_TMPFILE")
        let store = LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
        let upload = Lease.sample()
        let names = { try FileManager.default.contentsOfDirectory(atPath: directory.uploads.string) }
        let writer = try await store.writer(for: upload, expecting: 5)
        try await writer.write([ByteBuffer(string: "hello")])
        #expect(try names() == [])
        let digest = await writer.taken().digest
        for _ in 0..<2 {
            try await writer.publish(as: digest)
            #expect(try names() == [])
            #expect(try await store.open(digest).size == 5)
        }
    }

    /// A completion that was published but not recorded is repeated without copying the bytes.
    @Test func publishingAgainCopiesNothing() async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        let store = LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
        var upload = Lease.sample()
        let writer = try await store.writer(for: upload, expecting: 5)
        try await writer.write([ByteBuffer(string: "hello")])
        upload = upload.advanced(to: try await writer.flush().digest)
        let digest = upload.upload.digest.digest
        try await writer.publish(as: digest)
        try await store.writer(for: upload, expecting: 0).publish(as: digest)
        let path = directory.uploads.appending(upload.id.description).string
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.referenceCount] as? Int == 2, "the upload and the blob are one file")
    }

    /// A publication that was killed before its name took the place of an older one leaves a second name of the upload.
    @Test func aNameThatACrashLeftCostsNoBytes() async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        let store = LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
        var upload = Lease.sample()
        for text in ["hello ", "world"] {
            let writer = try await store.writer(for: upload, expecting: nil)
            try await writer.write([ByteBuffer(string: text)])
            upload = upload.advanced(to: try await writer.flush().digest)
            let path = directory.uploads.appending(upload.id.description).string
            try FileManager.default.linkItem(atPath: path, toPath: path + ".new")
        }
        let writer = try await store.writer(for: upload, expecting: 0)
        try await writer.publish(as: upload.upload.digest.digest)
        let place = try #require(try await store.place(of: upload.upload.digest.digest))
        let measured = try await store.measure(upload.upload.digest.digest, at: place, pace: { _ in })
        #expect(measured == MeasuredBytes(size: 11, digest: upload.upload.digest.digest))
    }

    /// Without its directory a blob may be on a disk that is away: a verification must not call it damaged then.
    @Test func aBlobWhoseDirectoryIsAwayIsNotMissing() async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        let store = LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
        let digest = BlobDigest(of: [1, 2, 3])
        #expect(try await store.place(of: digest) == nil)
        let blobs = directory.blobs.string
        try FileManager.default.moveItem(atPath: blobs, toPath: blobs + "-away")
        let error = await #expect(throws: BlobError.self) { _ = try await store.place(of: digest) }
        #expect(error?.isUnavailable == true)
    }

    @Test func quarantineDeletesNothing() async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        let store = LocalByteStore(directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0))
        for _ in 0..<3 {
            let upload = Lease.sample()
            let writer = try await store.writer(for: upload, expecting: 5)
            try await writer.write([ByteBuffer(string: "hello")])
            let digest = await writer.taken().digest
            try await writer.publish(as: digest)
            try await store.quarantine(digest, at: try #require(try await store.place(of: digest)))
        }
        let kept = try FileManager.default.contentsOfDirectory(atPath: directory.quarantine.string)
        #expect(kept.count == 3)
        for name in kept {
            #expect(FileManager.default.contents(atPath: directory.quarantine.string + "/" + name)?.count == 5)
        }
    }

    @Test func oneServerAtATime() throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        #expect {
            _ = try DataDirectory(serving: FilePath(scratch.path))
        } throws: { error in
            (error as? OperatorError)?.description.contains("in use by another server") == true
        }
        withExtendedLifetime(directory) {}
    }

    @Test func aRowLooksAtTheDiskOnceInAMoment() async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        let free = Mutex(FreeSpace(bytes: 1000))
        let looks = Mutex(0)
        let room = DiskRoom(on: directory, floor: 100) { _ in
            looks.withLock { $0 += 1 }
            return free.withLock { $0 }
        }
        let store = LocalByteStore(directory: directory, threads: .singleton, room: room)
        for _ in 0..<1000 { try await store.requireRoom() }
        #expect(looks.withLock { $0 } < 1000)
        free.withLock { $0 = FreeSpace(bytes: 99) }
        #expect(try await store.shortage() == .freeSpace, "who asks for the truth gets it")
        await expect(.freeSpace) { try await store.requireRoom() }
    }

    @Test(arguments: [true, false]) func aBlobIsPublishedAgain(isHiding: Bool) async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        let store = LocalByteStore(
            directory: directory, threads: .singleton, room: DiskRoom(on: directory, floor: 0), hidesPresence: isHiding)
        var inodes: Set<UInt64> = []
        for _ in 0..<2 {
            let upload = Lease.sample()
            let writer = try await store.writer(for: upload, expecting: 5)
            try await writer.write([ByteBuffer(string: "hello")])
            let digest = await writer.taken().digest
            try await writer.publish(as: digest)
            try await writer.publish(as: digest)
            let place = try #require(try await store.place(of: digest))
            #expect(try await store.measure(digest, at: place, pace: { _ in })?.digest == digest)
            var status = stat()
            #expect(stat(directory.path(of: digest).string, &status) == 0)
            inodes.insert(UInt64(status.st_ino))
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.uploads.string).isEmpty)
        }
        #expect(inodes.count == 2, "what was just received takes the name")
    }

    @Test func theFloorIsLeftFree() async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        let free = Mutex(FreeSpace(bytes: 1000))
        let room = DiskRoom(on: directory, floor: 100) { _ in free.withLock { $0 } }
        let store = LocalByteStore(directory: directory, threads: .singleton, room: room)
        let upload = Lease.sample()
        let writer = try await store.writer(for: upload, expecting: 900)
        #expect(try await store.shortage() == nil)
        await expect(.freeSpace) { _ = try await store.writer(for: upload, expecting: 901) }
        for bytes in [Int64(99), 1, -1] {
            free.withLock { $0.bytes = bytes }
            let shortage = bytes > 0 ? BlobError.Shortage.freeSpace : .disk
            #expect(try await store.shortage() == shortage)
            await expect(shortage) { _ = try await store.writer(for: upload, expecting: nil) }
            await expect(shortage) { try await writer.write([ByteBuffer(bytes: [1])]) }
            // What is too much of it can be cut.
            _ = try await store.writer(for: upload, expecting: 0)
        }
    }

    @Test("without a floor, a disk is full when it has no byte or no file left", arguments: [0, 1] as [Int64])
    func fullDisk(left: Int64) async throws {
        let directory = try DataDirectory(serving: FilePath(scratch.path))
        for free in [FreeSpace(bytes: left), FreeSpace(bytes: 1 << 40, files: left)] {
            let room = DiskRoom(on: directory, floor: 0) { _ in free }
            let store = LocalByteStore(directory: directory, threads: .singleton, room: room)
            #expect(try await store.shortage() == (left == 0 ? .disk : nil))
        }
    }

    private func expect(_ shortage: BlobError.Shortage, _ body: () async throws -> Void) async {
        await #expect {
            try await body()
        } throws: { error in
            (error as? BlobError)?.reason == .insufficientStorage(shortage)
        }
    }
}
