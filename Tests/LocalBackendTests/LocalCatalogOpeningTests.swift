// Opening: the state that a database keeps, and the files that are refused.

import BlobCore
import BlobStorage
import BlobStorageTesting
import Foundation
import GRDB
import Testing

@testable import LocalBackend

@Suite struct LocalCatalogOpeningTests {
    private let directory: ScratchDirectory
    private let clock = ManualClock()

    init() throws {
        directory = try ScratchDirectory()
    }

    private func open(_ role: LocalCatalog.Role = .server) throws -> LocalCatalog {
        try LocalCatalog(path: directory.catalog, role: role, clock: clock)
    }

    /// The error of opening a closed catalog's file after it was changed.
    private func refusal(
        role: LocalCatalog.Role = .server, after change: (inout Data) -> Void
    ) async throws -> OperatorError {
        let catalog = try open()
        for number in 0..<100 { _ = try await catalog.add("text \(number)") }
        await catalog.close()
        let url = URL(fileURLWithPath: directory.catalog)
        var data = try Data(contentsOf: url)
        change(&data)
        try data.write(to: url)
        return try #require(throws: OperatorError.self) { try open(role) }
    }

    @Test func reopenedCatalogHoldsEverything() async throws {
        let first = try open()
        let upload = try await first.start()
        let advanced = try await first.advance(
            try await first.lease(of: upload), to: RunningDigest(of: "text".utf8),
            expires: clock.time(in: .seconds(60)), announcing: true, quota: nil
        )
        let file = try await first.add("more text", expires: clock.time(in: .seconds(60)))
        let token = AccessToken(name: "token", scopes: [.read, .upload], created: clock.now, expires: nil)
        try await first.createToken(token, secretDigest: file.digest)
        let (secret, usage) = (try await first.secret(), try await first.usage(of: Subject("ann")))
        await first.close()

        let second = try open()
        #expect(try await second.upload(upload.id) == advanced.upload)
        #expect(try await second.file(file.id) == file)
        #expect(try await second.token(secretDigest: file.digest) == token)
        #expect(try await second.secret() == secret)
        #expect(try await second.usage(of: Subject("ann")) == usage)
    }

    /// Other openers of a catalog leave the generation as it is, and a store keeps its identity.
    @Test func onlyServingRaisesTheGeneration() async throws {
        var generations: [Int64] = []
        var identities: Set<StoreIdentity> = []
        for (role, isServing) in [
            (LocalCatalog.Role.server, true), (.server, false), (.visitor, false), (.server, true),
        ] {
            let catalog = try LocalCatalog(
                path: directory.catalog, role: role, beginsGeneration: isServing, clock: clock)
            let version = try await catalog.version()
            generations.append(version.generation)
            identities.insert(version.identity)
            await catalog.close()
        }
        #expect(generations == [1, 1, 1, 2])
        #expect(identities.count == 1)
    }

    /// The process is gone without closing: the WAL holds the committed rows.
    @Test func copyOfTheFilesHoldsWhatWasCommitted() async throws {
        let catalog = try open()
        let file = try await catalog.add("text")
        let copy = try ScratchDirectory()
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: directory.catalog + suffix, toPath: copy.catalog + suffix)
        }
        let reopened = try LocalCatalog(path: copy.catalog, clock: clock)
        #expect(try await reopened.file(file.id) == file)
        await catalog.close()
    }

    @Test func closingLeavesOneFile() async throws {
        let catalog = try open()
        _ = try await catalog.add("text")
        _ = try await catalog.files(FileQuery())
        await catalog.close()
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["catalog.sqlite"])
    }

    /// A catalog as the first format's program left it, with a row of each kind that has changed since.
    private func makeFormatOne() throws {
        let database = try DatabaseQueue(path: directory.catalog)
        try database.write { db in
            try db.execute(sql: Schema.steps[0])
            try db.execute(
                sql: """
                    INSERT INTO meta VALUES ('secret', randomblob(32));
                    INSERT INTO blobs (digest, size) VALUES (:digest, 4);
                    INSERT INTO files (id, digest, owner, name, size, temporary, created)
                        VALUES (1, :digest, 'ann', 'report.pdf', 4, 0, 1000);
                    INSERT INTO uploads (id, owner, temporary, expires, epoch, offset, announced, digest_state, state)
                        VALUES (:upload, 'ann', 0, 4000000000000, 1, 0, 0, :state, 0);
                    INSERT INTO tokens VALUES (:digest, 'phone', 'read', 1000, NULL);
                    """,
                arguments: [
                    "digest": Data(BlobDigest(of: "text".utf8).bytes), "upload": Data(Self.oldUpload.bytes),
                    "state": Data(RunningDigest().encoded),
                ])
            try db.execute(sql: "PRAGMA application_id = \(Schema.applicationID); PRAGMA user_version = 1")
        }
        try database.close()
    }

    private static let oldUpload = UploadID()
    private static let hour = Date(timeIntervalSince1970: 1_749_999_600)

    @Test func firstFormatIsBroughtUpToDate() async throws {
        try makeFormatOne()
        let expected = Usage(charge: Charge.of(4) + Charge.of(0), openUploads: 1)
        for isSecond in [false, true] {
            let catalog = try open()
            #expect(try await catalog.run("PRAGMA user_version") == ["\(Schema.format)"])
            let id = try #require(FileID(value: 1))
            let file = try #require(try await catalog.file(id))
            #expect(file.name.text == "report.pdf" && file.path == nil)
            let token = try #require(try await catalog.token(secretDigest: file.digest))
            #expect(token.name == "phone" && token.subject == Subject("phone") && token.scopes == [.read])
            #expect(try await catalog.tokens() == [token])
            #expect(token.lastUsed == (isSecond ? Self.hour : nil))
            try await catalog.recordUse(ofToken: file.digest, in: Self.hour)
            #expect(try await catalog.faults() == [])
            #expect(try await catalog.usage(of: Subject("ann")) == expected)
            // Uploads that were begun before go on.
            let upload = try await catalog.lease(of: try #require(try await catalog.upload(Self.oldUpload))).upload
            #expect(upload.path == nil && upload.owner == Subject("ann"))
            await catalog.close()
        }
        let catalog = try open()
        let path = RelativePath(trusted: "2026/may/call.wav")
        let upload = Upload(
            id: UploadID(), owner: Subject("ann"), name: nil, isTemporary: false, path: path,
            expires: Date(timeIntervalSince1970: 4_000_000_000))
        try await catalog.create(upload, openUploadLimit: 10, quota: nil)
        #expect(try await catalog.upload(upload.id)?.path == path)
    }

    /// The server of the older version may be running.
    @Test func visitorLeavesTheFirstFormatAlone() throws {
        try makeFormatOne()
        let error = try #require(throws: OperatorError.self) { try open(.visitor) }
        #expect(error.description.contains("start this version's server once"))
        let database = try DatabaseQueue(path: directory.catalog)
        #expect(try database.read { db in try Int.fetchOne(db, sql: "PRAGMA user_version") } == 1)
        try database.close()
    }

    @Test(arguments: [LocalCatalog.Role.server, .visitor])
    func newerFormatIsRefused(role: LocalCatalog.Role) async throws {
        let error = try await refusal(role: role) { data in data[60..<64] = Data([0, 0, 0, 77]) }
        #expect(error.description.contains("format 77") && error.description.contains("up to \(Schema.format)"))
    }

    @Test func anotherProgramsDatabaseIsRefused() async throws {
        let error = try await refusal { data in data[68..<72] = Data([1, 2, 3, 4]) }
        #expect(error.description.contains("another program"))
    }

    @Test func damagedFilesAreRefused() async throws {
        let damages: [(inout Data) -> Void] = [
            { data in data = Data("This is not a database, but a text that somebody put in its place.".utf8) },
            { data in data = data.prefix(3 * 4096) },
            { data in data.replaceSubrange(4096..<data.count, with: Data(count: data.count - 4096)) },
        ]
        for damage in damages {
            let directory = try ScratchDirectory()
            let catalog = try LocalCatalog(path: directory.catalog, clock: clock)
            _ = try await catalog.add("text")
            await catalog.close()
            let url = URL(fileURLWithPath: directory.catalog)
            var data = try Data(contentsOf: url)
            damage(&data)
            try data.write(to: url)
            let error = try #require(throws: (any Error).self) {
                try LocalCatalog(path: directory.catalog, clock: clock)
            }
            if let error = error as? OperatorError {
                #expect(error.description.contains("damaged") && !error.description.contains(directory.catalog))
            } else {
                #expect(error as? BlobError == BlobError(.unavailable(.catalogDamaged)))
            }
        }
    }

    /// Damage that opening does not look for is met by the call that reads it, and stops nobody else.
    @Test func damagedRowIsAnErrorOfItsCall() async throws {
        let catalog = try open()
        let (good, bad) = (try await catalog.start(), try await catalog.start())
        let id = bad.id.bytes.map { String(format: "%02x", $0) }.joined()
        _ = try await catalog.run("UPDATE uploads SET digest_state = x'00' WHERE id = x'\(id)'")
        let error = try await #require(throws: BlobError.self) { try await catalog.upload(bad.id) }
        #expect(error.reason == .unavailable(.catalogDamaged))
        #expect(try await catalog.upload(good.id) == good)
    }

    @Test func missingDirectoryIsUnavailable() throws {
        let error = try #require(throws: BlobError.self) {
            try LocalCatalog(path: directory.catalog + "/none/catalog.sqlite", clock: clock)
        }
        #expect(error.reason == .unavailable(.catalogUnreachable))
    }

    @Test func visitorsTokenIsVisibleToTheServerAtOnce() async throws {
        let server = try open()
        let visitor = try open(.visitor)
        let token = AccessToken(name: "token", scopes: [.admin], created: clock.now, expires: nil)
        let digest = BlobDigest(of: "secret".utf8)
        #expect(try await server.token(secretDigest: digest) == nil)
        try await visitor.createToken(token, secretDigest: digest)
        #expect(try await server.token(secretDigest: digest) == token)
        #expect(try await server.secret() == visitor.secret())
        await visitor.close()
        _ = try await server.start()
        #expect(try await server.token(secretDigest: digest) == token)
    }

    @Test func serverAndVisitorWriteAtTheSameTime() async throws {
        let catalogs = [try open(), try open(.visitor)]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 { group.addTask { _ = try await catalogs[number % 2].start() } }
            try await group.waitForAll()
        }
        for catalog in catalogs { #expect(try await catalog.statistics().openUploads == 200) }
    }

    @Test func visitorNeverCheckpoints() async throws {
        let visitor = try open(.visitor)
        #expect(try await visitor.run("PRAGMA wal_autocheckpoint") == ["0"])
        let server = try open()
        #expect(try await server.run("PRAGMA wal_autocheckpoint") != ["0"])
        for catalog in [server, visitor] {
            #expect(try await catalog.run("PRAGMA synchronous") == ["2"])
            #expect(try await catalog.run("PRAGMA journal_mode") == ["wal"])
        }
    }
}
