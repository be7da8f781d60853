// Contract, uploads: `POST /api/blobs/uploads/{id}/append` and `GET …/status`.

import Foundation
import Testing

@Suite("Appending", .inTurn)
struct AppendTests {
    @Test("203 with the headers of the 202 and Cache-Control: no-store")
    func answer() async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        let response = try await client.send(.append(to: upload, Sample.bytes(10)))
        #expect(response.status == 203)
        #expect(response.headers.all("Content-Length") == ["0"])
        checkNames(response, of: upload)
        expect(response, tellsOffset: 10)
    }

    @Test("status: 204 with the same, but no Content-Length (RFC 9110 §8.6)")
    func status() async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: Sample.bytes(10))
        let response = try await client.send(.status(of: upload))
        #expect(response.status == 204)
        #expect(response.headers["Content-Length"] == nil)
        #expect(response.headers["Transfer-Encoding"] == nil)
        checkNames(response, of: upload)
        expect(response, tellsOffset: 10)
    }

    private func checkNames(_ response: Response, of upload: Upload) {
        #expect(response.headers["PortSIP-Upload-ID"] == upload.id)
        #expect(response.headers["PortSIP-Upload-Token"] == upload.token)
        #expect(response.headers["Location"]?.hasPrefix("/api/blobs/uploads/\(upload.id)") == true)
        #expect(response.headers["Cache-Control"] == "no-store")
        #expect(throws: Never.self) { try Dates.http(response.headers["Upload-Expires"]) }
    }

    @Test("Range is 0-<last byte>, 0-0 for an empty one; Upload-Offset is exact", arguments: [0, 1, 2, 10, 70_000])
    func range(_ count: Int) async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        expect(try await client.send(.append(to: upload, Sample.bytes(count))), tellsOffset: count)
        expect(try await client.send(.status(of: upload)), tellsOffset: count)
    }

    @Test("any number of bytes, announced or chunked", arguments: [1, 1000, 65_536, 1_048_577, 5_000_000])
    func anySize(_ count: Int) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(count)
        let upload = try await client.initiate()
        let pieces = stride(from: 0, to: count, by: 100_000).map { Array(bytes[$0..<min($0 + 100_000, count)]) }
        expect(try await client.send(.append(to: upload, bytes)), tellsOffset: count)
        expect(try await client.send(.append(to: upload, .chunked(pieces))), tellsOffset: 2 * count)
        let published = try await client.complete(upload)
        #expect(published.digest == Sample.digest(of: bytes + bytes))
    }

    @Test("many small appends, one connection, go on where the last ended")
    func manySmall() async throws {
        let client = try await Client.shared
        let connection = try await client.server.connect()
        defer { connection.close() }
        let bytes = try Sample.bytes(100)
        let upload = try await client.initiate()
        for (index, byte) in bytes.enumerated() {
            let response = try await client.send(.append(to: upload, [byte]), on: connection)
            expect(response, tellsOffset: index + 1)
        }
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }

    @Test("every byte value arrives as it is, in chunks of one byte too")
    func everyByteValue() async throws {
        let client = try await Client.shared
        let bytes = (0...255).map { UInt8($0) }
        let upload = try await client.initiate()
        let response = try await client.send(.append(to: upload, .chunked(bytes.map { [$0] })))
        expect(response, tellsOffset: 256)
        #expect(try await client.complete(upload).digest == Sample.digest(of: bytes))
    }

    @Test(
        "an empty append changes nothing and is 203",
        arguments: [Request.Body.none, .bytes([]), .chunked([])])
    func empty(_ body: Request.Body) async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let response = try await client.send(.append(to: upload, body))
        #expect(response.status == 203)
        expect(response, tellsOffset: 3)
        expect(try await client.send(.status(of: upload)), tellsOffset: 3)
    }

    @Test(
        "application/octet-stream or no Content-Type",
        arguments: [
            nil, "application/octet-stream", "Application/Octet-Stream", "application/octet-stream; charset=binary",
        ])
    func type(_ type: String?) async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        var headers: Headers = ["PortSIP-Upload-Token": upload.token]
        if let type { headers.add("Content-Type", type) }
        let target = "/api/blobs/uploads/\(upload.id)/append"
        let request = Request(method: "POST", target: target, headers: headers, body: .bytes([1]))
        #expect(try await client.send(request).status == 203)
    }

    @Test(
        "another type is 415",
        arguments: [
            "text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
            "application/octet-streams", "image/png", "nonsense",
        ])
    func otherType(_ type: String) async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let headers: Headers = ["Content-Type": type]
        expect(
            try await client.send(.append(to: upload, [4], headers)), is: .unsupportedMediaType,
            naming: "application/octet-stream")
        expect(try await client.send(.complete(upload, .bytes([4]), headers)), is: .unsupportedMediaType)
        #expect(try await client.offset(of: upload) == 3)
    }

    @Test("a type for no bytes at all, as curl -d '' sends, is no fault")
    func typeOfNothing() async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let headers: Headers = ["Content-Type": "application/x-www-form-urlencoded"]
        #expect(try await client.send(.append(to: upload, [], headers)).status == 203)
        #expect(try await client.send(.complete(upload, .bytes([]), headers)).status == 201)
    }
}

@Suite("Destroying", .inTurn)
struct DestroyTests {
    @Test("204 without a body; the upload is unknown from then on")
    func destroy() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(10)
        let upload = try await client.upload(holding: bytes)
        let response = try await client.send(.destroy(upload))
        #expect(response.status == 204)
        #expect(response.body.isEmpty && response.headers["Content-Length"] == nil)
        for request in UploadUnknownTests.operations(on: upload) {
            expect(try await client.send(request), is: .uploadUnknown)
        }
        #expect(try await !client.isPublished(bytes))
    }

    @Test("lets go of its bytes on the disk")
    func bytesGo() async throws {
        try await withServer(["--reclaim-interval", "1s", "--reclaim-grace", "0s"]) { server in
            let client = try server.admin()
            let upload = try await client.upload(holding: Sample.bytes(10_000))
            #expect(try server.files(in: "uploads").map(\.size) == [10_000])
            #expect(try await client.send(.destroy(upload)).status == 204)
            try await eventually("the upload's file is gone") {
                try server.files(in: "uploads").isEmpty ? true : nil
            }
        }
    }
}
