// The rules of uploads, over the in-memory models.

import BlobCore
import BlobStorageTesting
import Foundation
import Logging
import NIOCore
import Synchronization
import Testing

@testable import BlobStorage

@Suite(.timeLimit(.minutes(10))) struct UploadServiceTests {
    private struct Cut: Error {}

    private func expect(
        _ reason: BlobError.Reason, offset: Int64? = nil, _ work: () async throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        do {
            try await work()
            Issue.record("nothing was thrown", sourceLocation: sourceLocation)
        } catch let error as BlobError {
            #expect(error.reason == reason, sourceLocation: sourceLocation)
            if let offset { #expect(error.offset == offset, sourceLocation: sourceLocation) }
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
    }

    @Test func piecesBecomeAFile() async throws {
        let server = ModelServer()
        let id = try await server.start()
        #expect(try await server.append("one ", to: id) == 4)
        #expect(try await server.append("two", to: id) == 7)
        let digest = BlobDigest(of: "one two".utf8)
        let file = try await server.uploads.complete(
            id, of: ModelServer.owner, with: .empty, guarded: nil, digest: digest)
        #expect(file.digest == digest)
        #expect(file.size == 7)
        #expect(file.name.text == digest.hex)
        #expect(try await server.blobs.open(digest).content.size == 7)
        #expect(server.bytes.heldUploads().isEmpty)
    }

    @Test func completingTakesTheRestAndCanBeRepeated() async throws {
        let server = ModelServer()
        let id = try await server.start()
        try await server.append("one ", to: id)
        let file = try await server.uploads.complete(
            id, of: ModelServer.owner, with: ModelServer.body("two"), guarded: .offset(4), digest: nil)
        #expect(file.digest == BlobDigest(of: "one two".utf8))
        #expect(
            try await server.uploads.complete(
                id, of: ModelServer.owner, with: .empty, guarded: nil, digest: file.digest) == file)
        await expect(.completedOtherwise(actual: file.digest, size: 7)) {
            _ = try await server.uploads.complete(
                id, of: ModelServer.owner, with: .empty, guarded: nil, digest: BlobDigest(of: []))
        }
        await expect(.uploadUnknown) { try await server.append("three", to: id) }
        await expect(.uploadUnknown) { _ = try await server.uploads.status(id, of: ModelServer.owner) }
    }

    @Test func aBodyOfAnotherLengthThanItsRangeIsToldTheTrueOffset() async throws {
        let server = ModelServer()
        let id = try await server.start()
        try await server.append("one", to: id)
        await expect(.lengthMismatch(announced: 7, body: 4), offset: 7) {
            _ = try await server.uploads.append(
                ModelServer.body(" two", announced: false), to: id, of: ModelServer.owner,
                guarded: .range(first: 3, last: 9)
            )
        }
        #expect(try await server.append(" three", to: id) == 13)
    }

    @Test func aWrongDigestKeepsTheUploadOpen() async throws {
        let server = ModelServer()
        let id = try await server.start()
        let (given, actual) = (BlobDigest(of: "two".utf8), BlobDigest(of: "one".utf8))
        await expect(.digestMismatch(given: given, actual: actual, size: 3)) {
            _ = try await server.uploads.complete(
                id, of: ModelServer.owner, with: ModelServer.body("one"), guarded: nil, digest: given
            )
        }
        #expect(try await server.uploads.status(id, of: ModelServer.owner).offset == 3)
        #expect(try await server.append(" more", to: id) == 8)
    }

    @Test func whatArrivedBeforeACutIsKeptAndToldBeforeMoreIsTaken() async throws {
        let server = ModelServer()
        let id = try await server.start()
        await expect(.bodyIncomplete) {
            _ = try await server.uploads.append(
                ModelServer.body("one", then: Cut(), announced: false), to: id, of: ModelServer.owner, guarded: nil)
        }
        await expect(.holdsMore, offset: 3) { try await server.append("one", to: id) }
        #expect(try await server.append(" two", to: id) == 7)
    }

    @Test func statusTellsTheTruthToo() async throws {
        let server = ModelServer()
        let id = try await server.start()
        await expect(.bodyIncomplete) {
            _ = try await server.uploads.append(
                ModelServer.body("one", then: Cut(), announced: false), to: id, of: ModelServer.owner, guarded: nil)
        }
        #expect(try await server.uploads.status(id, of: ModelServer.owner).offset == 3)
        #expect(try await server.append(" two", to: id) == 7)
    }

    @Test func anotherSubjectsUploadIsUnknown() async throws {
        let server = ModelServer()
        let id = try await server.start()
        await expect(.uploadUnknown) { _ = try await server.uploads.status(id, of: Subject("other")) }
    }

    @Test func bytesPastTheLargestBlobAreRefusedAndTheOthersKept() async throws {
        let server = ModelServer(maximumBlobSize: 5)
        let id = try await server.start()
        await expect(.tooLarge(limit: 5)) { try await server.append("123456", to: id) }
        #expect(try await server.uploads.status(id, of: ModelServer.owner).offset == 0)
        await expect(.tooLarge(limit: 5), offset: 5) {
            _ = try await server.uploads.append(
                ModelServer.body("1234", "5678", announced: false), to: id, of: ModelServer.owner, guarded: nil)
        }
        let file = try await server.uploads.complete(id, of: ModelServer.owner, with: .empty, guarded: nil, digest: nil)
        #expect(file.digest == BlobDigest(of: "12345".utf8))
    }

    @Test func theQuotaCountsFilesAndOpenUploads() async throws {
        let quota = 2 * Charge.of(1)
        let server = ModelServer(quota: quota)
        let first = try await server.start()
        try await server.append("123456", to: first)
        _ = try await server.uploads.complete(first, of: ModelServer.owner, with: .empty, guarded: nil, digest: nil)
        let (second, block) = (try await server.start(), String(repeating: "x", count: 4096))
        await expect(.quotaExceeded(quota: quota, left: 4096)) { try await server.append(block + "y", to: second) }
        #expect(try await server.append(block, to: second) == 4096)
        await expect(.quotaExceeded(quota: quota, left: 0)) { try await server.append("y", to: second) }
        await expect(.quotaExceeded(quota: quota, left: 0)) { _ = try await server.start() }
        // Of bytes that nobody announced, those are kept that there is room for.
        await expect(.quotaUsedUp, offset: 4096) {
            _ = try await server.uploads.append(
                ModelServer.body("y", announced: false), to: second, of: ModelServer.owner, guarded: nil)
        }
        _ = try await server.uploads.complete(second, of: ModelServer.owner, with: .empty, guarded: nil, digest: nil)
    }

    @Test func whatWasLetGoOfIsToldWhenItIsInTheWay() async throws {
        let quota = 4 * Charge.of(1)
        let server = ModelServer(quota: quota)
        for text in ["a", "b", "c", "d", "e"] {
            let file = try await server.complete(text)
            try await server.files.destroy(file.id, for: Caller(subject: ModelServer.owner, scopes: [.delete]))
        }
        let letGo = 5 * (Charge.of(1) + Charge.rows)
        let id = try await server.start()
        let long = String(repeating: "x", count: 3 * 4096)
        await expect(.quotaHeld(quota: quota, left: 2 * 4096, letGo: letGo)) { try await server.append(long, to: id) }
        server.clock.advance(by: .seconds(10))
        try await server.reclaimer.reclaim()
        #expect(try await server.append(long, to: id) == 3 * 4096)
    }

    /// Room that was there when an append began, and that another one took before its bytes were recorded.
    @Test(arguments: [0, 4] as [Int64], [false, true])
    func whatOthersLeftNoRoomForIsNotKept(offset: Int64, isCompletion: Bool) async throws {
        let server = ModelServer(quota: 3 * Charge.of(4096) - 1)
        let (id, other) = (try await server.start(), try await server.start())
        if offset > 0 { try await server.append(String(repeating: "o", count: Int(offset)), to: id) }
        let late = String(repeating: "l", count: 4097)
        let source = LateBytes(late) { try await server.append(String(repeating: "t", count: 2 * 4096), to: other) }
        let body = IncomingBody(length: Int64(late.utf8.count)) { try await source.next() }
        await expect(.quotaUsedUp, offset: offset) {
            if isCompletion {
                _ = try await server.uploads.complete(id, of: ModelServer.owner, with: body, guarded: nil, digest: nil)
            } else {
                _ = try await server.uploads.append(body, to: id, of: ModelServer.owner, guarded: nil)
            }
        }
        #expect(try await server.uploads.status(id, of: ModelServer.owner).offset == offset)
        #expect(server.bytes.heldByteCount(of: id) ?? 0 == offset)
        #expect(server.bytes.heldBlobs(beginningWith: BlobDigest(of: late.utf8).bytes[0]).isEmpty)
        #expect(try server.catalog.usage(of: ModelServer.owner).room(within: 3 * Charge.of(4096) - 1) >= 0)
        try await server.uploads.destroy(other, of: ModelServer.owner)
        #expect(try await server.append("on", to: id, guarded: .offset(offset)) == offset + 2)
    }

    /// Bytes that come after something else was done.
    private actor LateBytes {
        private var text: String?
        private let before: @Sendable () async throws -> Void

        init(_ text: String, after before: @escaping @Sendable () async throws -> Void) {
            self.text = text
            self.before = before
        }

        func next() async throws -> [ByteBuffer]? {
            guard let text else { return nil }
            self.text = nil
            try await before()
            return [ByteBuffer(string: text)]
        }
    }

    /// A caller whose token is revoked while the body is on its way.
    @Test(arguments: [false, true])
    func whoMayNotGoOnCompletesNothing(isCompletion: Bool) async throws {
        let server = ModelServer()
        let secret = "secret"
        let token = AccessToken(
            name: "phone", subject: ModelServer.owner, scopes: [.upload], created: server.clock.now, expires: nil)
        try server.catalog.createToken(token, secretDigest: BlobDigest(of: secret.utf8))
        let caller = try await Authenticator(catalog: server.catalog, clock: server.clock).caller(secret: secret)
        let id = try await server.start()
        // A checkpoint comes with the 32nd MiB.
        let text = isCompletion ? "text" : String(repeating: "x", count: 32 << 20)
        let source = LateBytes(text) { _ = try server.catalog.revokeToken(named: "phone") }
        let body = IncomingBody(length: nil) { try await source.next() }
        await expect(.tokenInvalid(.unknown), offset: nil) {
            if isCompletion {
                _ = try await server.uploads.complete(id, of: caller, with: body, guarded: nil, digest: nil)
            } else {
                _ = try await server.uploads.append(body, to: id, of: caller, guarded: nil)
            }
        }
        #expect(try await server.uploads.status(id, of: ModelServer.owner).offset == text.utf8.count)
        #expect(try server.catalog.statistics().files == 0)
    }

    @Test func aFullStoreKeepsWhatItHas() async throws {
        let server = ModelServer(capacity: 4)
        let id = try await server.start()
        try await server.append("1234", to: id)
        await expect(.insufficientStorage(.disk)) { try await server.append("5", to: id) }
        #expect(try await server.uploads.status(id, of: ModelServer.owner).offset == 4)
    }

    @Test("where nothing may be added, what only removes goes on, and so does what was told before")
    func shortOfRoom() async throws {
        let server = ModelServer()
        let file = try await server.complete("file")
        let (done, begun, whole) = (try await server.start(), try await server.start(), try await server.start())
        let kept = try await server.uploads.complete(
            done, of: ModelServer.owner, with: .empty, guarded: nil, digest: nil)
        try await server.append("12", to: begun)
        try await server.append("whole", to: whole)
        func complete(_ id: UploadID, _ body: IncomingBody = .empty) async throws -> File {
            try await server.uploads.complete(id, of: ModelServer.owner, with: body, guarded: nil, digest: nil)
        }

        server.bytes.runShort(of: .freeSpace)
        let refusal = BlobError.Reason.insufficientStorage(.freeSpace)
        await expect(refusal) { _ = try await server.start() }
        await expect(refusal) { try await server.append("34", to: begun) }
        await expect(refusal) { _ = try await complete(whole) }
        await expect(refusal) { _ = try await complete(begun, ModelServer.body("34")) }
        #expect(try server.catalog.statistics().files == 2)
        #expect(try await server.append("", to: begun) == 2)
        #expect(try await complete(done) == kept)
        try await server.uploads.destroy(begun, of: ModelServer.owner)
        try await server.files.destroy(file.id, for: Caller(subject: ModelServer.owner, scopes: [.delete]))

        server.bytes.runShort(of: nil)
        #expect(try await complete(whole).size == 5)
    }

    @Test func oneSubjectHasOnlySoManyOpenUploads() async throws {
        let server = ModelServer(openUploads: 2)
        let first = try await server.start()
        _ = try await server.start()
        await expect(.tooManyUploads(open: 2)) { _ = try await server.start() }
        try await server.uploads.destroy(first, of: ModelServer.owner)
        _ = try await server.start()
    }

    /// An append that waits for bytes which never come, until it is cancelled.
    private final class StalledAppend: Sendable {
        let wasCancelled = Mutex(false)
        let task: Mutex<Task<Upload, any Error>?> = Mutex(nil)

        init(to id: UploadID, of server: ModelServer) async {
            let waits = AsyncStream.makeStream(of: Void.self)
            let body = IncomingBody(length: nil) {
                waits.continuation.yield()
                defer { self.wasCancelled.withLock { $0 = true } }
                try await Task.sleep(for: .seconds(3600))
                return nil
            }
            task.withLock {
                $0 = Task { try await server.uploads.append(body, to: id, of: ModelServer.owner, guarded: nil) }
            }
            for await _ in waits.stream { break }
        }

        var upload: Upload? {
            get async throws { try await task.withLock { $0 }?.value }
        }
    }

    @Test func onlyTheOwnersStatusEndsASilentAppend() async throws {
        let server = ModelServer(silenceLimit: .zero)
        let id = try await server.start()
        let append = await StalledAppend(to: id, of: server)
        await expect(.uploadUnknown) { _ = try await server.uploads.status(id, of: Subject("stranger")) }
        #expect(!append.wasCancelled.withLock { $0 })
        #expect(try await server.uploads.status(id, of: ModelServer.owner).offset == 0)
        await expect(.uploadSuperseded) { _ = try await append.upload }
    }

    @Test func aStrangerReachesNothingOfAnUpload() async throws {
        let server = ModelServer()
        let id = try await server.start()
        try await server.append("one", to: id)
        let append = await StalledAppend(to: id, of: server)
        let (stranger, before) = (Subject("stranger"), try server.catalog.upload(id))
        await expect(.uploadUnknown) {
            _ = try await server.uploads.append(ModelServer.body("two"), to: id, of: stranger, guarded: nil)
        }
        await expect(.uploadUnknown) {
            _ = try await server.uploads.complete(
                id, of: stranger, with: ModelServer.body("two"), guarded: nil, digest: nil)
        }
        await expect(.uploadUnknown) { try await server.uploads.destroy(id, of: stranger) }
        #expect(!append.wasCancelled.withLock { $0 })
        #expect(try server.catalog.upload(id) == before)
        #expect(try await server.append("two", to: id, guarded: .offset(3)) == 6)
        await expect(.uploadSuperseded) { _ = try await append.upload }
    }

    @Test func theNewerAppendEndsTheOlder() async throws {
        let server = ModelServer()
        let id = try await server.start()
        let older = await StalledAppend(to: id, of: server)
        #expect(try await server.append("one", to: id, guarded: .offset(0)) == 3)
        await expect(.uploadSuperseded) { _ = try await older.upload }
    }

    @Test func onlyBytesPutTheExpiryOff() async throws {
        let server = ModelServer()
        let id = try await server.start()
        let appended = try await server.uploads.append(
            ModelServer.body("one"), to: id, of: ModelServer.owner, guarded: nil)
        #expect(appended.expires == server.clock.now.addingTimeInterval(3600))
        server.clock.advance(by: .seconds(10))
        #expect(
            try await server.uploads.append(.empty, to: id, of: ModelServer.owner, guarded: nil).expires
                == appended.expires)
        #expect(try await server.uploads.status(id, of: ModelServer.owner).expires == appended.expires)
        let again = try await server.uploads.append(
            ModelServer.body("two"), to: id, of: ModelServer.owner, guarded: nil)
        #expect(again.expires == server.clock.now.addingTimeInterval(3600))
    }

    @Test func aCompletionCanBeRepeatedUntilTheUploadExpires() async throws {
        let server = ModelServer()
        let id = try await server.start()
        server.clock.advance(by: .seconds(3599))
        let file = try await server.uploads.complete(
            id, of: ModelServer.owner, with: ModelServer.body("text"), guarded: nil, digest: nil)
        server.clock.advance(by: .seconds(3599))
        try await server.reclaimer.reclaim()
        #expect(
            try await server.uploads.complete(id, of: ModelServer.owner, with: .empty, guarded: nil, digest: nil)
                == file)
        server.clock.advance(by: .seconds(2))
        await expect(.uploadUnknown) {
            _ = try await server.uploads.complete(id, of: ModelServer.owner, with: .empty, guarded: nil, digest: nil)
        }
    }
}
