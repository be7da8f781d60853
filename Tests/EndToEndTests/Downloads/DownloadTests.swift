// Contract, download: `GET` and `HEAD /api/blobs/{digest}` and the headers of their answer.

import Foundation
import Testing

@Suite("Downloading", .inTurn)
struct DownloadTests {
    @Test("exactly these headers, for GET and HEAD", arguments: ["GET", "HEAD"])
    func headers(_ method: String) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(5000)
        let digest = try await client.publish(bytes, filename: "report.pdf").digest
        let response = try await client.anonymous.send(Request(method: method, target: "/api/blobs/\(digest)"))
        #expect(response.status == 200)
        #expect(response.body == (method == "GET" ? bytes : []))
        let expected: Headers = [
            "Content-Type": "application/octet-stream", "Content-Length": "5000",
            "Content-Disposition": "attachment; filename=\"report.pdf\"", "ETag": "\"\(digest)\"",
            "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-site",
            "Cache-Control": "public, max-age=31536000, immutable", "Repr-Digest": Sample.reprDigest(of: bytes),
        ]
        for (name, value) in expected.fields {
            #expect(response.headers.all(name) == [value], "\(name)")
        }
    }

    @Test("64 hex digits with or without sha256:, in either case", arguments: DigestTests.Form.allCases)
    func form(_ form: DigestTests.Form) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let digest = try await client.publish(bytes).digest
        let response = try await client.anonymous.send(.download(form.text(digest)))
        #expect(response.body == bytes)
        #expect(response.headers["ETag"] == "\"\(digest)\"")
    }

    @Test("another form is 400 DIGEST_INVALID", arguments: DigestTests.otherForms + ["UPLOADS", "%FF", "..", "%2e%2e"])
    func otherForm(_ text: String) async throws {
        expect(try await Client.shared.anonymous.send(.download(text)), is: .digestInvalid, naming: "64")
        let head = try await Client.shared.anonymous.send(.head(text))
        #expect(head.status == 400 && head.body.isEmpty)
    }

    @Test("not here is 404 BLOB_UNKNOWN")
    func unknown() async throws {
        let digest = Sample.digest(of: try Sample.bytes(10))
        expect(try await Client.shared.anonymous.send(.download(digest)), is: .blobUnknown)
        let head = try await Client.shared.anonymous.send(.head(digest))
        #expect(head.status == 404 && head.body.isEmpty)
    }

    @Test("any size comes back as it went", arguments: [1, 4096, 65_536, 65_537, 300_000, 9_000_000])
    func anySize(_ count: Int) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(count)
        let digest = try await client.publish(bytes).digest
        #expect(try await client.anonymous.send(.download(digest)).body == bytes)
    }

    @Test("a name that is plain ASCII has no filename*; any other has its RFC 8187 form beside an ASCII one")
    func names() async throws {
        let client = try await Client.shared
        for (name, isPlain) in [("a b;c.txt", true), ("a\"b.txt", true), ("تقرير.pdf", false), ("naïve.txt", false)] {
            let digest = try await client.publish(Sample.bytes(10), filename: name).digest
            let disposition = try ContentDisposition(await client.send(.head(digest)))
            #expect(disposition.name == name)
            #expect((disposition.extended == nil) == isPlain)
            #expect(disposition.plain.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } && !disposition.plain.isEmpty)
        }
    }

    @Test("a temporary blob's max-age is no longer than its life")
    func temporary() async throws {
        try await withServer(["--temporary-expiry", "1h"]) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(10)
            let temporary = try await client.publish(bytes, temporary: true)
            let expiry = try Dates.rfc3339(temporary.body["expires_at"])
            #expect(abs(expiry.timeIntervalSinceNow - 3600) < 60)
            let control = try await client.send(.download(temporary.digest)).headers["Cache-Control"] ?? ""
            let age = try #require(control.firstMatch(of: /max-age=(\d+)/).flatMap { Int($0.1) })
            #expect(age <= 3600 && !control.contains("immutable"), "\(control)")
            _ = try await client.publish(bytes)
            let permanent = try await client.send(.download(temporary.digest)).headers["Cache-Control"]
            #expect(permanent == "public, max-age=31536000, immutable")
        }
    }

    @Test("Cross-Origin-Resource-Policy is a setting")
    func resourcePolicy() async throws {
        try await withServer(["--cross-origin-resource-policy", "cross-origin"]) { server in
            let digest = try await server.admin().publish(Sample.bytes(10)).digest
            let response = try await server.admin().send(.download(digest))
            #expect(response.headers["Cross-Origin-Resource-Policy"] == "cross-origin")
        }
    }
}

@Suite("Private downloads", .inTurn)
struct PrivateDownloadTests {
    @Test("a setting makes the download ask for a token with the scope read")
    func asked() async throws {
        try await withServer(["--private-downloads"]) { server in
            let bytes = try Sample.bytes(10)
            let owner = try await server.client("upload")
            let reader = try await server.client("read")
            let digest = try await owner.publish(bytes).digest
            let refused = try await owner.anonymous.send(.download(digest))
            expect(refused, is: .unauthorized)
            #expect(refused.headers["WWW-Authenticate"] == "Bearer")
            #expect(try await owner.anonymous.send(.head(digest)).status == 401)
            expect(try await owner.send(.download(digest)), is: .forbidden, naming: "read")
            #expect(try await reader.send(.download(digest)).body == bytes)
            let unknown = Sample.digest(of: [1])
            expect(try await owner.anonymous.send(.download(unknown)), is: .unauthorized)
        }
    }
}

@Suite("The name of a download", .inTurn)
struct DownloadNameTests {
    private func name(_ digest: String) async throws -> String {
        try ContentDisposition(await Client.shared.send(.head(digest))).name
    }

    @Test("is that of the oldest live permanent file, else of the oldest live temporary one")
    func oldest() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(10)
        var files: [String: Published] = [:]
        for (file, temporary) in [("t1", true), ("t2", true)] {
            files[file] = try await client.publish(bytes, filename: file, temporary: temporary)
        }
        let digest = Sample.digest(of: bytes)
        #expect(try await name(digest) == "t1")
        for file in ["p1", "p2"] {
            files[file] = try await client.publish(bytes, filename: file, temporary: false)
        }
        for expected in ["p1", "p2", "t1", "t2"] {
            #expect(try await name(digest) == expected)
            let id = try #require(files[expected]).id
            #expect(try await client.send(.destroyFile(id)).status == 204)
        }
        expect(try await client.send(.download(digest)), is: .blobUnknown)
    }

    @Test("nobody can rename another's download by uploading the same bytes")
    func others() async throws {
        let bytes = try Sample.bytes(10)
        let digest = try await Client.newSubject().publish(bytes, filename: "mine.txt").digest
        _ = try await Client.newSubject().publish(bytes, filename: "evil.exe")
        #expect(try await name(digest) == "mine.txt")
    }
}
