// The rules of every byte store, checked on the one on disk, and what only a disk can show.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import LocalBackend
import NIOPosix
import SystemPackage
import Testing

@Suite struct LocalByteStoreTests {
    @Test(arguments: ByteStoreConformance.allCases)
    func conformance(rule: ByteStoreConformance) async throws {
        let directory = try DataDirectory(serving: FilePath(try ScratchDirectory.path()))
        defer { ScratchDirectory.remove(directory.path.string) }
        try await rule.check { LocalByteStore(directory: directory, threads: .singleton, freeSpaceFloor: 0) }
    }

    @Test(arguments: 1...20)
    func randomOperations(seed: UInt64) async throws {
        let directory = try DataDirectory(serving: FilePath(try ScratchDirectory.path()))
        defer { ScratchDirectory.remove(directory.path.string) }
        try await RandomOperations(seed: seed, steps: 200).run(againstByteStore: {
            LocalByteStore(directory: directory, threads: .singleton, freeSpaceFloor: 0)
        })
    }

    @Test func oneServerAtATime() throws {
        let path = try ScratchDirectory.path()
        defer { ScratchDirectory.remove(path) }
        let directory = try DataDirectory(serving: FilePath(path))
        #expect {
            _ = try DataDirectory(serving: FilePath(path))
        } throws: { error in
            (error as? BlobError)?.message.contains("in use by another server") == true
        }
        withExtendedLifetime(directory) {}
    }

    @Test func theFloorIsLeftFree() async throws {
        let directory = try DataDirectory(serving: FilePath(try ScratchDirectory.path()))
        defer { ScratchDirectory.remove(directory.path.string) }
        let store = LocalByteStore(directory: directory, threads: .singleton, freeSpaceFloor: .max)
        let upload = Upload(
            id: UploadID(), owner: Subject("ann"), name: nil, isTemporary: false, expires: .distantFuture
        )
        await #expect {
            _ = try await store.writer(for: upload, expecting: nil)
        } throws: { error in
            (error as? BlobError)?.code == .insufficientStorage
        }
    }
}

extension ScratchDirectory {
    /// The path of a new directory, for a value that outlives the test's own.
    fileprivate static func path() throws -> String {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("LocalByteStoreTests-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        return url.path
    }

    fileprivate static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }
}
