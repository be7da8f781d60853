// Contract, uploads: an append whose connection drops, and how its client goes on.

import Foundation
import Testing

@Suite("Cut connections", .inTurn)
struct CutConnectionTests {
    @Test(
        "an append whose connection drops keeps every byte that arrived",
        arguments: [Framing.announced(8 << 20), .chunked], [1, 1000, 3_000_000])
    func keepsAll(_ framing: Framing, _ count: Int) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(count + 500)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        try await client.startAppend(to: upload, framing, sending: Array(bytes[..<count]), on: connection)
        connection.close()
        try await eventually("status tells all that arrived") {
            try await client.offset(of: upload) == count ? true : nil
        }
        let rest = try await client.send(.append(to: upload, Array(bytes[count...]), ["Upload-Offset": String(count)]))
        expect(rest, tellsOffset: count + 500)
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }

    @Test("a reset connection keeps what the server had read; the upload goes on from the told offset")
    func reset() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(3_000_000)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        try await client.startAppend(to: upload, sending: Array(bytes[..<2_000_000]), on: connection)
        connection.reset()
        try await eventually("status tells what arrived") {
            try await client.offset(of: upload) == 2_000_000 ? true : nil
        }
        try await client.finish(upload, with: bytes)
    }

    @Test("a chunk cut in its middle keeps its first half")
    func halfChunk() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(2000)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        try await connection.send(client.signed(.append(to: upload, .chunked([]))).head)
        try await connection.send(Array(Request.chunk(bytes).prefix(1000 + "7d0\r\n".utf8.count)))
        connection.close()
        try await eventually("status tells the half") {
            try await client.offset(of: upload) == 1000 ? true : nil
        }
        try await client.finish(upload, with: bytes)
    }

    @Test("an unguarded append after it is told 416 with the truth, so that no bytes are doubled; then it goes on")
    func movedOffset() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(4_000_000)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        try await client.startAppend(to: upload, sending: Array(bytes[..<3_000_000]), on: connection)
        connection.close()

        let told = try await client.send(.append(to: upload, bytes))
        expect(told, is: .rangeInvalid)
        expect(told, tellsOffset: 3_000_000)

        let rest = try await client.send(.append(to: upload, Array(bytes[3_000_000...])))
        #expect(rest.status == 203, "the offset has been announced: \(rest)")
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }

    @Test("an unguarded complete with a body is told the same")
    func movedOffsetOnComplete() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(4_000_000)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        try await client.startAppend(to: upload, sending: Array(bytes[..<3_000_000]), on: connection)
        connection.close()
        let told = try await client.send(.complete(upload, .bytes(bytes)))
        expect(told, is: .rangeInvalid)
        expect(told, tellsOffset: 3_000_000)
        #expect(try await !client.isPublished(bytes))
        try await client.finish(upload, with: bytes)
    }

    @Test("cut within the headers, nothing has happened")
    func cutHeaders() async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let head = client.signed(.append(to: upload, [4, 5])).head
        for length in [1, 20, head.count - 2, head.count - 1] {
            let connection = try await client.server.connect()
            try await connection.send(Array(head[..<length]))
            connection.close()
        }
        #expect(try await client.offset(of: upload) == 3)
    }

    @Test("a completing body that is cut completes nothing and keeps its bytes")
    func cutComplete() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(2000)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        let request = Request.complete(upload, .bytes(Array(bytes[..<700])), ["Content-Length": "2000"])
        try await connection.send(client.signed(request))
        connection.close()
        try await eventually("status tells what arrived") {
            try await client.offset(of: upload) == 700 ? true : nil
        }
        #expect(try await !client.isPublished(Array(bytes[..<700])))
        try await client.finish(upload, with: bytes)
    }

    @Test("a client that stops sending but still listens is answered or closed, and its bytes are kept")
    func halfClosed() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(2000)
        let upload = try await client.initiate()
        let connection = try await client.server.connect()
        defer { connection.close() }
        let request = Request.append(to: upload, Array(bytes[..<700]), ["Content-Length": "2000"])
        try await connection.send(client.signed(request))
        connection.finishSending()
        if let answer = try await connection.receiveIfAny(for: "POST") { #expect(answer.status == 400) }
        try await eventually("status tells what arrived") {
            try await client.offset(of: upload) == 700 ? true : nil
        }
        try await client.finish(upload, with: bytes)
    }
}

extension Client {
    /// Goes on from the offset that status tells, and proves by the digest that nothing was lost, doubled or mixed up.
    func finish(_ upload: Upload, with bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let offset = try await offset(of: upload)
        try #require(offset <= bytes.count, sourceLocation: sourceLocation)
        try await append(Array(bytes[offset...]), to: upload)
        let digest = Sample.digest(of: bytes)
        let response = try await send(.complete(upload, digest: digest), sourceLocation: sourceLocation)
        #expect(response.status == 201, "\(response)", sourceLocation: sourceLocation)
        let download = try await send(.download(digest), sourceLocation: sourceLocation)
        #expect(download.body == bytes, sourceLocation: sourceLocation)
    }
}
