// Files that change between two runs, or within one, while their size and time of change stay.

import BlobClient
import BlobCore
import Foundation
import Glibc
import Testing

@Suite("Files that change unseen", .serialized, .timeLimit(.minutes(10)))
struct ChangedFileTests {
    @Test("bytes that were sent are others now: the upload begins anew")
    func sentBytesChanged() async throws {
        try await Dropped.with(40 << 20, after: 35) { dropped, stub, client in
            try dropped.overwrite(at: 1 << 20, count: 1)
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(try dropped.folder.read("file"), arePublishedBy: stub, as: file, name: "file")
            #expect(log.timesStartedOver == [.fileChanged] && log.start == 0)
            #expect(stub.model.openUploads == 0 && dropped.records.isEmpty)
        }
    }

    @Test("bytes that the server has, and no note: it tells, and the upload begins anew", arguments: [20, 34])
    func unnotedBytesChanged(_ count: Int) async throws {
        // With 20 MiB there is a note at 16 MiB; with 34, at 32.
        try await Dropped.with(40 << 20, after: count + 1) { dropped, stub, client in
            try dropped.overwrite(at: off_t(count) << 20, count: 1)
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(try dropped.folder.read("file"), arePublishedBy: stub, as: file, name: "file")
            #expect(log.timesStartedOver == [.wrongDigest] && log.start == Int64(count + 1) << 20)
            #expect(stub.model.openUploads == 0 && dropped.records.isEmpty)
        }
    }

    enum Harmless: CaseIterable, Sendable {
        case permissions, link, earlierVersion
    }

    @Test("what touches a file and not its bytes does not cost the upload", arguments: Harmless.allCases)
    func harmless(_ change: Harmless) async throws {
        try await Dropped.with(40 << 20, after: 35) { dropped, stub, client in
            switch change {
            case .permissions: chmod(dropped.file, 0o600)
            case .link: link(dropped.file, dropped.file + "-too")
            case .earlierVersion: try dropped.changeRecord { $0["statusChanged"] = nil }
            }
            let before = stub.model.received
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(dropped.bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(log.start == 35 << 20 && log.timesStartedOver.isEmpty)
            #expect(stub.model.received - before == 5 << 20)
        }
    }

    @Test("a change while it is sent is found though the time is set back; one of permissions is none")
    func sameTimesMeanwhile() async throws {
        try await withStub([:], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(Dropped.count)
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(file: dropped.file, journal: dropped.journal) { event in
                    if case .moved(to: 1 << 20) = event { try? dropped.overwrite(at: 0, count: 1) }
                }
            }
            #expect(error == .fileChanged(path: dropped.file) && stub.model.files.isEmpty)
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { event in
                if case .moved(to: 5 << 20) = event { chmod(dropped.file, 0o600) }
            }
            expect(try dropped.folder.read("file"), arePublishedBy: stub, as: file, name: "file")
        }
    }
}
