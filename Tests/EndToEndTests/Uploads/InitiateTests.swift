// Contract, uploads: `POST /api/blobs/uploads?filename=&temporary=` and the headers by which an upload is known.

import Foundation
import Testing

@Suite("Initiating", .inTurn)
struct InitiateTests {
    @Test("202 with the upload's id and token, Content-Length: 0, Range, Location, Upload-Offset, Upload-Expires")
    func answer() async throws {
        let response = try await Client.shared.send(.initiate(filename: "a.txt"))
        #expect(response.status == 202)
        let id = response.headers["PortSIP-Upload-ID"] ?? ""
        #expect(id.wholeMatch(of: /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/) != nil, "a UUID in lower case: \(id)")
        #expect(response.headers["PortSIP-Upload-Token"]?.isEmpty == false)
        #expect(response.headers.all("Content-Length") == ["0"])
        #expect(response.headers["Range"] == "0-0")
        #expect(response.headers["Upload-Offset"] == "0")
        let location = response.headers["Location"] ?? ""
        #expect(location.hasPrefix("/api/blobs/uploads/\(id)"), "relative, so that it survives any proxy: \(location)")
        #expect(response.body.isEmpty)
    }

    @Test("an unfinished upload expires 7 days after its last byte by default, told as an HTTP date")
    func expiry() async throws {
        let response = try await Client.shared.send(.initiate())
        let expiry = try Dates.http(response.headers["Upload-Expires"])
        #expect(abs(expiry.timeIntervalSinceNow - 7 * 86400) < 300)
    }

    @Test("each upload has an id and an unguessable token of its own")
    func unguessable() async throws {
        let client = try await Client.shared
        var ids: Set<String> = []
        var tokens: Set<String> = []
        for _ in 0..<20 {
            let upload = try await client.initiate()
            ids.insert(upload.id)
            tokens.insert(upload.token)
            #expect(upload.token.utf8.count >= 22, "128 bits in base64 at least")
            #expect(!upload.token.contains(upload.id))
        }
        #expect(ids.count == 20 && tokens.count == 20)
        #expect(Set(tokens.map { $0.prefix(8) }).count == 20, "no common beginning")
    }

    @Test(
        "initiating takes no body: bytes sent there would be lost, so 400 VALIDATE_FAILED",
        arguments: [Request.Body.bytes([1]), .bytes(Array("{}".utf8)), .chunked([[1, 2, 3]])])
    func body(_ body: Request.Body) async throws {
        var request = Request.initiate()
        request.body = body
        expect(try await Client.shared.send(request), is: .validateFailed)
    }

    @Test("a body that is broken: 400 BAD_REQUEST, and no upload")
    func brokenBody() async throws {
        try await withServer { server in
            let client = try server.admin()
            let connection = try await server.connect()
            defer { connection.close() }
            let request = client.signed(Request.initiate()).with(["Transfer-Encoding": "chunked"])
            try await connection.send(request.head + Array("ZZ\r\n".utf8))
            expect(try await client.receive(request, on: connection), is: .badRequest)
            let metrics = try await client.send(.get("/metrics")).text
            #expect(metrics.contains("blobd_uploads_open 0"), "\(metrics)")
        }
    }

    @Test("an empty body is none", arguments: [Request.Body.none, .bytes([]), .chunked([])])
    func emptyBody(_ body: Request.Body) async throws {
        var request = Request.initiate()
        request.body = body
        #expect(try await Client.shared.send(request).status == 202)
        let typed = request.with(["Content-Type": "application/json"])
        #expect(try await Client.shared.send(typed).status == 202)
    }

    @Test("temporary: true or false", arguments: [("?temporary=true", true), ("?temporary=false", false), ("", false)])
    func temporary(_ query: String, _ isTemporary: Bool) async throws {
        let client = try await Client.shared
        let request = Request(method: "POST", target: "/api/blobs/uploads" + query)
        let upload = try Upload(await client.send(request))
        let published = try await client.complete(upload, .bytes(Sample.bytes(10)))
        #expect(published.body["temporary"]?.boolean == isTemporary)
        if isTemporary {
            _ = try Dates.rfc3339(published.body["expires_at"])
        } else {
            #expect(published.body["expires_at"] ?? .null == .null)
        }
    }

    @Test(
        "temporary: anything else is 400 VALIDATE_FAILED naming the parameter",
        arguments: ["", "1", "0", "yes", "TRUE", "True", "truee", "null", "%74rue%00", "%FF", "true,false"])
    func notTemporary(_ value: String) async throws {
        let request = Request(method: "POST", target: "/api/blobs/uploads?temporary=\(value)")
        expect(try await Client.shared.send(request), is: .validateFailed, naming: "temporary")
    }
}

@Suite("The upload token", .inTurn)
struct UploadTokenTests {
    @Test("is the same for the upload's whole life, and status returns it to the owner")
    func same() async throws {
        let client = try await Client.shared
        let upload = try await client.initiate()
        let appended = try await client.send(.append(to: upload, [1, 2, 3]))
        let status = try await client.send(.status(of: upload))
        #expect(appended.headers["PortSIP-Upload-Token"] == upload.token)
        #expect(status.headers["PortSIP-Upload-Token"] == upload.token)
    }

    @Test("missing on append or complete: 400 BLOB_UPLOAD_INVALID", arguments: ["append", "complete"])
    func missing(_ action: String) async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let request = Request(method: "POST", target: "/api/blobs/uploads/\(upload.id)/\(action)", body: .bytes([4]))
        expect(try await client.send(request), is: .uploadInvalid, naming: "PortSIP-Upload-Token")
        #expect(try await client.offset(of: upload) == 3)
    }

    @Test("wrong on append or complete: 400 BLOB_UPLOAD_INVALID")
    func wrong() async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: [1, 2, 3])
        let other = try await client.initiate()
        let token = upload.token
        let changed = String(token.dropLast()) + (token.hasSuffix("A") ? "B" : "A")
        let wrong = [other.token, changed, String(token.dropLast()), token + "A", upload.id, "", "\u{e9}", "null"]
        for value in wrong {
            let stranger = Upload(id: upload.id, token: value)
            for request in [Request.append(to: stranger, [4]), .complete(stranger)] {
                expect(try await client.send(request), is: .uploadInvalid, naming: "PortSIP-Upload-Token")
            }
        }
        #expect(try await client.offset(of: upload) == 3)
    }

    @Test("status and destroy do not ask for it")
    func notNeeded() async throws {
        let client = try await Client.shared
        let upload = Upload(id: try await client.initiate().id, token: "")
        #expect(try await client.send(.status(of: upload)).status == 204)
        #expect(try await client.send(.destroy(upload)).status == 204)
    }
}
