// The record of a dropped run in the journal, and how the next run goes on with it.

@testable import BlobClient
import BlobCore
import Foundation
import Glibc
import SystemPackage
import Testing

@Suite("The journal", .serialized, .timeLimit(.minutes(10)))
struct JournalTests {
    private static let count = Dropped.count

    @Test("the next run goes on from the last byte that is safe", arguments: [false, true])
    func goesOn(_ isExact: Bool) async throws {
        try await Dropped.with(after: 3, Manners(extras: isExact ? [.offsets] : [])) { dropped, stub, client in
            let before = stub.model.received
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(dropped.bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(log.start == 3 << 20 && log.timesStartedOver.isEmpty)
            #expect(stub.model.received - before == 3 << 20, "only what was missing is sent")
            #expect(stub.model.seen.count { $0 == .initiate } == 1)
            #expect(dropped.records.isEmpty, "a complete upload is forgotten")
        }
    }

    @Test("what was sent is compared with the note, also where the file's times say that it is the same")
    func comparedAnyhow() async throws {
        try await Dropped.with(40 << 20, after: 35) { dropped, stub, client in
            try dropped.overwrite(at: 0, count: 1)
            try dropped.changeRecord { $0["statusChanged"] = try dropped.statusChanged() }
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(try dropped.folder.read("file"), arePublishedBy: stub, as: file, name: "file")
            #expect(log.timesStartedOver == [.fileChanged])
        }
    }

    @Test("the note is at most 16 MiB and a piece behind, and reading up to it is told")
    func notes() async throws {
        try await Dropped.with(40 << 20, after: 35) { dropped, stub, client in
            let noted = try dropped.readRecord()["beginning"] as? [String: Any]
            let count = try #require(noted?["byteCount"] as? Int64)
            #expect((18 << 20...35 << 20).contains(count))
            #expect(noted?["digest"] as? String == BlobDigest(of: dropped.bytes.prefix(Int(count))).hex)
            let log = EventLog()
            _ = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            #expect(log.all.first == .reading(to: 16 << 20, of: count))
        }
    }

    @Test("the note of an earlier version is no hindrance")
    func earlierNote() async throws {
        try await Dropped.with(40 << 20, after: 35) { dropped, stub, client in
            var record = try dropped.readRecord()
            record["beginning"] = nil
            // The state of a SHA-256 computation, of 32 MiB.
            record["digest"] = Data([UInt8](repeating: 7, count: 36) + [2, 0, 0, 0]).base64EncodedString()
            try JSONSerialization.data(withJSONObject: record).write(to: URL(fileURLWithPath: dropped.record()))
            let (before, log) = (stub.model.received, EventLog())
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(dropped.bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(log.start == 35 << 20 && log.timesStartedOver.isEmpty)
            #expect(stub.model.received - before == 5 << 20)
            #expect(log.all.contains(.reading(to: 32 << 20, of: 35 << 20)))
        }
    }

    @Test("reading again what was sent can be cancelled")
    func cancelledReading() async throws {
        try await Dropped.with(40 << 20, after: 35) { dropped, stub, client in
            let log = EventLog()
            let seen = stub.model.seen.count
            let task = Task {
                try await client.upload(file: dropped.file, journal: dropped.journal) { event in
                    log.note(event)
                    if case .reading = event { withUnsafeCurrentTask { $0?.cancel() } }
                }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(stub.model.seen.count == seen && log.all.count == 1)
            #expect(dropped.journal.entries().count == 1)
        }
    }

    @Test("a cancelled run is remembered too")
    func cancelled() async throws {
        try await withStub(
            [.append: [.nothing, .nothing, .silence]], Manners(), Dropped.configuration
        ) { stub, client in
            let dropped = try Dropped(Self.count)
            let task = Task { try await client.upload(file: dropped.file, journal: dropped.journal) }
            await stub.model.silent.wait()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(dropped.bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(log.start == 2 << 20)
        }
    }

    // MARK: When the record does not fit

    enum Change: CaseIterable, Sendable {
        case longer, shorter, touched, replaced
    }

    @Test("another state of the file is uploaded anew", arguments: Change.allCases)
    func changed(_ change: Change) async throws {
        try await Dropped.with { dropped, stub, client in
            var bytes = dropped.bytes
            switch change {
            case .longer: bytes += [1]
            case .shorter: bytes.removeLast()
            case .touched: bytes[0] ^= 1
            case .replaced: bytes = Sample.bytes(Self.count, seed: 2)
            }
            if change == .replaced {
                try Data(bytes).write(to: URL(fileURLWithPath: dropped.file), options: .atomic)
            } else {
                // Written in place: the same inode.
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: dropped.file))
                try handle.write(contentsOf: bytes)
                try handle.truncate(atOffset: UInt64(bytes.count))
                try handle.close()
            }
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(log.all.first == .startingOver(.fileChanged) && log.start == 0)
            #expect(dropped.records.isEmpty)
        }
    }

    @Test("a file that is written to while it is uploaded is an error", arguments: [Change.longer, .shorter, .touched])
    func changedMeanwhile(_ change: Change) async throws {
        try await withStub([:], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(Self.count)
            let error = await #expect(throws: BlobClientError.self) {
                try await client.upload(file: dropped.file, journal: dropped.journal) { event in
                    guard case .moved(to: 1 << 20) = event else { return }
                    switch change {
                    case .longer: Self.write(to: dropped.file, at: off_t(Self.count))
                    case .touched, .replaced: Self.write(to: dropped.file, at: 0)
                    case .shorter: truncate(dropped.file, 2 << 20)
                    }
                }
            }
            #expect(error == .fileChanged(path: dropped.file))
            #expect(stub.model.files.isEmpty)
        }
    }

    private static func write(to path: String, at offset: off_t) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        pwrite(descriptor, [1], 1, offset)
        close(descriptor)
    }

    @Test("an upload that the server has forgotten is begun anew", arguments: Manners.Errors.allCases)
    func forgotten(_ errors: Manners.Errors) async throws {
        try await withStub(
            [.append: Dropped.faults(after: 3), .status: [.forget]], Manners(errors: errors), Dropped.configuration
        ) { stub, client in
            let dropped = try Dropped(Self.count)
            // With a bare 401 there is no difference between the manners.
            try await dropped.drop(client)
            let log = EventLog()
            let file = try await client.upload(file: dropped.file, journal: dropped.journal) { log.note($0) }
            expect(dropped.bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(log.timesStartedOver == [.uploadLost])
            #expect(dropped.records.isEmpty)
        }
    }

    enum Damage: CaseIterable, Sendable {
        case empty, garbage, half, withoutEnd, otherObject, otherUpload, noUpload, otherDigest, longDigest, noDigest
        case negativeDigest, negativeSize, folder
    }

    @Test("a damaged record costs no more than a new beginning", arguments: Damage.allCases)
    func damaged(_ damage: Damage) async throws {
        try await Dropped.with(20 << 20, after: 18) { dropped, stub, client in
            let path = try dropped.record()
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            var record = try dropped.readRecord()
            #expect(record["beginning"] != nil, "there is one to be damaged")
            switch damage {
            case .empty: try Data().write(to: URL(fileURLWithPath: path))
            case .garbage: try Data(Sample.bytes(300)).write(to: URL(fileURLWithPath: path))
            case .half: try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: path))
            case .withoutEnd: try (whole + whole.prefix(30)).write(to: URL(fileURLWithPath: path))
            case .otherObject: record = ["a": 1]
            case .otherUpload: record["upload"] = UploadID().description
            case .noUpload: record["upload"] = "no id"
            case .otherDigest: record["beginning"] = beginning(of: Sample.bytes(16 << 20, seed: 5))
            case .longDigest: record["beginning"] = beginning(of: Sample.bytes(21 << 20))
            case .negativeDigest: record["beginning"] = ["byteCount": -1, "digest": BlobDigest(of: []).hex]
            case .noDigest: record["beginning"] = "AAAA"
            case .negativeSize: record["file"] = ["size": -1, "inode": 1, "device": 1, "changed": 1]
            case .folder:
                try FileManager.default.removeItem(atPath: path)
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            }
            if ![.empty, .garbage, .half, .withoutEnd, .folder].contains(damage) {
                try JSONSerialization.data(withJSONObject: record).write(to: URL(fileURLWithPath: path))
            }
            let file = try await client.upload(file: dropped.file, journal: dropped.journal)
            expect(dropped.bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(dropped.records.isEmpty || damage == .folder)
        }
    }

    private func beginning(of bytes: [UInt8]) -> [String: Any] {
        ["byteCount": bytes.count, "digest": BlobDigest(of: bytes).hex]
    }

    @Test(
        "there is no place for it: the upload goes on without", arguments: ["/file/below", "/dev/null", "/proc/none"])
    func noPlace(_ place: String) async throws {
        try await withStub([:], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(Self.count)
            let directory = place == "/file/below" ? dropped.folder.path + place : place
            let journal = UploadJournal(directory: directory)
            let file = try await client.upload(file: dropped.file, journal: journal)
            expect(dropped.bytes, arePublishedBy: stub, as: file, name: "file")
            #expect(journal.entries().isEmpty)
        }
    }

    // MARK: The contents of the journal

    @Test("two runs of one file at once: each uploads it, one is remembered")
    func atOnce() async throws {
        try await withStub([:], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(Self.count)
            try await withThrowingTaskGroup(of: StoredFile.self) { group in
                for _ in 0..<4 {
                    group.addTask { try await client.upload(file: dropped.file, journal: dropped.journal) }
                }
                for try await file in group { #expect(file.digest == BlobDigest(of: dropped.bytes).hex) }
            }
            #expect(stub.model.files.count == 4 && stub.model.openUploads == 0)
            #expect(stub.model.received == 4 * Self.count)
            #expect(dropped.records.isEmpty)
        }
    }

    @Test("with another path on the server it is another upload")
    func anotherPath() async throws {
        try await withStub([.append: Dropped.faults(after: 3)], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(Self.count)
            let may = UploadOptions(path: "may/file")
            await #expect(throws: BlobClientError.self) {
                try await client.upload(file: dropped.file, options: may, journal: dropped.journal)
            }
            #expect(dropped.journal.entries().map(\.options) == [UploadOptions(name: "file", path: "may/file")])
            for (path, start) in [("june/file", 0), (nil, 0), ("may/file", Int64(3 << 20))] {
                let log = EventLog()
                let options = UploadOptions(path: path)
                _ = try await client.upload(file: dropped.file, options: options, journal: dropped.journal) {
                    log.note($0)
                }
                #expect(log.start == start && log.timesStartedOver.isEmpty)
            }
            #expect(stub.model.files.map(\.path) == ["june/file", nil, "may/file"])
            #expect(dropped.records.isEmpty)
        }
    }

    @Test("it tells what is unfinished, and nobody else, and no secret")
    func contents() async throws {
        try await Dropped.with { dropped, stub, client in
            let entries = dropped.journal.entries()
            #expect(entries.count == 1)
            let entry = try #require(entries.first)
            #expect(entry.path.string == dropped.file && entry.server == stub.address)
            #expect(entry.size == Int64(Self.count) && entry.options == UploadOptions(name: "file"))
            #expect(abs(entry.updated.timeIntervalSinceNow) < 60)
            #expect(try await client.status(of: entry.upload).offset == 3 << 20)

            let text = try String(contentsOfFile: dropped.record(), encoding: .utf8)
            #expect(!text.contains(ReferenceModel.token) && !text.lowercased().contains("token"))
            #expect(try mode(dropped.record()) == 0o600)
            for folder in ["", "/..", "/../.."] { #expect(try mode(dropped.journal.directory + folder) == 0o700) }

            dropped.journal.remove(entry)
            #expect(dropped.journal.entries().isEmpty && dropped.records.isEmpty)
        }
    }

    private func mode(_ path: String) throws -> mode_t {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Failure("stat \(path)") }
        return status.st_mode & 0o7777
    }

    @Test("what is being worked on is nobody else's")
    func locked() async throws {
        try await withStub([.append: [.nothing, .silence]], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(Self.count)
            let task = Task { try await client.upload(file: dropped.file, journal: dropped.journal) }
            await stub.model.silent.wait()
            #expect(dropped.journal.entries().isEmpty && dropped.records.count == 1)
            task.cancel()
            _ = await task.result
            #expect(dropped.journal.entries().count == 1)
        }
    }

    @Test("another server, another name or another duration is another upload")
    func keys() async throws {
        try await Dropped.with { dropped, stub, client in
            for options in [UploadOptions(name: "other"), UploadOptions(isTemporary: true)] {
                let log = EventLog()
                _ = try await client.upload(file: dropped.file, options: options, journal: dropped.journal) {
                    log.note($0)
                }
                #expect(log.start == 0 && log.timesStartedOver.isEmpty)
            }
            try await withStub([:], Manners(), Dropped.configuration) { other, client in
                _ = try await client.upload(file: dropped.file, journal: dropped.journal)
                #expect(other.model.received == Self.count)
            }
            #expect(dropped.journal.entries().count == 1, "the first one is still to be had")
        }
    }

    @Test("nothing is left of an upload that never began, and nothing is noted of small files")
    func nothing() async throws {
        try await withStub([.initiate: [.answer(403), .nothing]], Manners(), Dropped.configuration) { stub, client in
            let dropped = try Dropped(Self.count)
            await #expect(throws: BlobClientError.self) {
                try await client.upload(file: dropped.file, journal: dropped.journal)
            }
            #expect(dropped.records.isEmpty)
            let small = try Dropped(4 << 20)
            _ = try await client.upload(file: small.file, journal: small.journal)
            #expect(!FileManager.default.fileExists(atPath: small.journal.directory))
        }
    }
}
