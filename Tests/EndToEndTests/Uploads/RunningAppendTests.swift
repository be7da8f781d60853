// Contract, uploads: one append at a time. A newer one ends the older one; status leaves a live one alone and ends a
// silent one; complete and destroy end it too.

import Foundation
import Testing

@Suite("A running append", .inTurn)
struct RunningAppendTests {
    /// The older append is over: its client is told so, or its connection is closed.
    private func expectEnded(_ older: HTTPConnection, _ refusals: [Refusal]) async throws {
        if let answer = try await older.receiveIfAny(for: "POST") { expect(answer, isOneOf: refusals) }
        older.close()
    }

    @Test("a newer append ends it, keeps what it had received, and answers 416 because that moved the offset")
    func newer() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(4_000_000)
        let upload = try await client.initiate()
        let older = try await client.server.connect()
        try await client.startAppend(to: upload, sending: Array(bytes[..<3_000_000]), on: older)

        let answer = try await client.send(.append(to: upload, bytes))
        expect(answer, is: .rangeInvalid)
        expect(answer, tellsOffset: 3_000_000)
        try await expectEnded(older, [.superseded])
        #expect(try await client.offset(of: upload) == 3_000_000, "what the older one had received is kept")
        try await client.finish(upload, with: bytes)
    }

    @Test("a newer append need not wait for a silent one, and goes on when that had received nothing")
    func newerThanSilent() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(1000)
        let upload = try await client.upload(holding: Array(bytes[..<500]))
        let older = try await client.server.connect()
        try await client.startAppend(to: upload, on: older)
        let start = ContinuousClock.now
        let answer = try await client.send(.append(to: upload, Array(bytes[500...])))
        #expect(answer.status == 203, "\(answer)")
        expect(answer, tellsOffset: 1000)
        #expect(ContinuousClock.now - start < .seconds(10), "not as long as the body's timeout")
        try await expectEnded(older, [.superseded])
        try await client.finish(upload, with: bytes)
    }

    @Test("bytes that an ended append sends afterwards go nowhere")
    func lateBytes() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(1000)
        let upload = try await client.initiate()
        let older = try await client.server.connect()
        try await client.startAppend(to: upload, .announced(1000), on: older)
        #expect(try await client.send(.append(to: upload, bytes)).status == 203)
        // The server may have closed the connection by now, or do so meanwhile. Where it does not close it, its answer
        // to the next request shows that it has read those bytes.
        try? await older.send(Sample.bytes(1000))
        try? await older.send(Request.get("/health"))
        if let answer = try? await older.receiveIfAny(for: "POST") {
            expect(answer, is: .superseded)
            if let next = try? await older.receiveIfAny() { #expect(next.status == 200) }
        }
        older.close()
        #expect(try await client.offset(of: upload) == 1000)
        try await client.finish(upload, with: bytes)
    }

    @Test("status leaves a live one alone and tells an offset that is durable")
    func statusOfLive() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(900_000)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        defer { connection.close() }
        try await client.startAppend(to: upload, .announced(900_000), on: connection)
        for start in stride(from: 0, to: 900_000, by: 300_000) {
            try await connection.send(Array(bytes[start..<start + 300_000]))
            let offset = try await client.offset(of: upload)
            #expect((0...start + 300_000).contains(offset))
        }
        let answer = try await client.receive(.append(to: upload, bytes), on: connection)
        #expect(answer.status == 203)
        expect(answer, tellsOffset: 900_000)
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }

    @Test("status ends one that has been silent for 5 s first, so that its answer is final")
    func statusOfSilent() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(1000)
        let upload = try await client.initiate()
        let older = try await client.server.connect()
        let start = ContinuousClock.now
        try await client.startAppend(to: upload, sending: Array(bytes[..<700]), on: older)
        let final = try await eventually("the silent append is ended", every: .milliseconds(200)) {
            let offset = try await client.offset(of: upload)
            return try older.hasNews() ? offset : nil
        }
        #expect(final == 700, "the answer that ended it")
        #expect(ContinuousClock.now - start > .seconds(4), "a live append is left alone")
        try await expectEnded(older, [.superseded])
        expect(try await client.send(.status(of: upload)), tellsOffset: 700)
        let rest = try await client.send(.append(to: upload, Array(bytes[700...])))
        #expect(rest.status == 203, "status has announced the offset: \(rest)")
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }

    @Test("complete ends it")
    func complete() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(1000)
        let upload = try await client.upload(holding: bytes)
        let older = try await client.server.connect()
        try await client.startAppend(to: upload, on: older)
        let answer = try await client.send(.complete(upload, digest: Sample.digest(of: bytes)))
        #expect(answer.status == 201, "\(answer)")
        try await expectEnded(older, [.superseded, .uploadUnknown])
        #expect(try await client.send(.download(Sample.digest(of: bytes))).body == bytes)
    }

    @Test("complete ends one that had received bytes, and says so or has them in the blob")
    func completeWithMoved() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(3_000_000)
        let upload = try await client.initiate()
        let older = try await client.server.connect()
        try await client.startAppend(to: upload, sending: bytes, on: older)
        var answer = try await client.send(.complete(upload))
        if answer.status != 201 {
            expect(answer, is: .rangeInvalid)
            answer = try await client.send(.complete(upload))
        }
        let published = try Published(answer)
        #expect(published.body["size"]?.integer == 3_000_000)
        #expect(published.digest == Sample.digest(of: bytes))
        try await expectEnded(older, [.superseded, .uploadUnknown])
    }

    @Test("destroy ends it")
    func destroy() async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        let older = try await client.server.connect()
        try await client.startAppend(to: upload, sending: Sample.bytes(1000), on: older)
        #expect(try await client.send(.destroy(upload)).status == 204)
        try await expectEnded(older, [.superseded, .uploadUnknown])
        expect(try await client.send(.status(of: upload)), is: .uploadUnknown)
    }
}
