// Contract, uploads: `POST /api/blobs/uploads/{id}/complete?digest=`.

import Foundation
import Testing

@Suite("Completing", .inTurn)
struct CompleteTests {
    @Test("201 with Location, Repr-Digest and the file as JSON")
    func answer() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(1234)
        let digest = Sample.digest(of: bytes)
        let upload = try await client.upload(holding: bytes, filename: "تقرير.txt")
        let response = try await client.send(.complete(upload, digest: digest))
        #expect(response.status == 201)
        #expect(response.headers["Location"] == "/api/blobs/\(digest)")
        #expect(response.headers["Repr-Digest"] == Sample.reprDigest(of: bytes))
        #expect(response.headers["Content-Type"]?.hasPrefix("application/json") == true)
        let file = try #require(response.json)
        #expect(file["digest"]?.string == digest)
        #expect(file["size"]?.integer == 1234)
        #expect(file["name"]?.string == "تقرير.txt")
        #expect(file["temporary"]?.boolean == false)
        #expect(file["expires_at"] ?? .null == .null)
        #expect(file["url"]?.string?.hasSuffix("/api/blobs/\(digest)") == true)
        #expect(file["id"]?.string?.isEmpty == false)
    }

    @Test("the id is base64 of a decimal snowflake: milliseconds since 2018-01-01 UTC above 22 bits")
    func snowflake() async throws {
        let client = try await Client.shared
        var last: Int64 = 0
        for _ in 0..<3 {
            let id = try await client.publish(Sample.bytes(10)).id
            let decimal = String(decoding: try #require(Data(base64Encoded: id)), as: UTF8.self)
            let number = try #require(Int64(decimal))
            #expect(decimal == String(number))
            let made = Date(timeIntervalSince1970: 1_514_764_800 + Double(number >> 22) / 1000)
            #expect(abs(made.timeIntervalSinceNow) < 300, "\(made)")
            #expect(number > last, "later files have larger numbers")
            last = number
        }
    }

    @Test("appends its body first, if it has one", arguments: [0, 1, 1000, 2_000_000])
    func body(_ count: Int) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(500 + count)
        let digest = Sample.digest(of: bytes)
        for body in [Request.Body.bytes(Array(bytes[500...])), .chunked([Array(bytes[500...])])] {
            let upload = try await client.upload(holding: Array(bytes[..<500]))
            let response = try await client.send(.complete(upload, digest: digest, body))
            #expect(response.status == 201)
            #expect(response.json?["size"]?.integer == Int64(500 + count))
        }
        #expect(try await client.send(.download(digest)).body == bytes)
    }

    @Test("needs no digest: the reference does not demand one")
    func withoutDigest() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let response = try await client.send(.complete(client.upload(holding: bytes)))
        #expect(response.status == 201)
        #expect(response.json?["digest"]?.string == Sample.digest(of: bytes))
    }

    @Test("zero bytes are a valid blob")
    func empty() async throws {
        let client = try await Client.shared
        let nothing = Sample.digest(of: [])
        let response = try await client.send(.complete(client.initiate(filename: "empty"), digest: nothing))
        #expect(response.status == 201)
        #expect(response.json?["size"]?.integer == 0)
        let download = try await client.send(.download(nothing))
        #expect(download.status == 200)
        #expect(download.headers["Content-Length"] == "0")
        #expect(download.body.isEmpty)
    }

    @Test("the same bytes twice are two files of one blob")
    func twice() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let first = try await client.publish(bytes)
        let second = try await client.publish(bytes)
        #expect(first.digest == second.digest)
        #expect(first.id != second.id)
    }

    @Test("unpublished bytes cannot be downloaded")
    func unfinished() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        _ = try await client.upload(holding: bytes)
        #expect(try await !client.isPublished(bytes))
    }
}

@Suite("The digest of complete", .inTurn)
struct DigestTests {
    enum Form: CaseIterable, Sendable {
        case lower, upper, prefixed, prefixedUpper, encoded

        func text(_ digest: String) -> String {
            switch self {
            case .lower: digest
            case .upper: digest.uppercased()
            case .prefixed: "sha256:" + digest
            case .prefixedUpper: "sha256:" + digest.uppercased()
            case .encoded: "sha256%3A" + digest
            }
        }
    }

    @Test("64 hex digits, upper or lower case, or the same with sha256: before it", arguments: Form.allCases)
    func form(_ form: Form) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let digest = Sample.digest(of: bytes)
        let response = try await client.send(.complete(client.upload(holding: bytes), digest: form.text(digest)))
        #expect(response.status == 201)
        #expect(response.json?["digest"]?.string == digest)
    }

    static let zeros = String(repeating: "0", count: 64)
    static let short = String(repeating: "0", count: 63)

    /// Forms that are wrong in complete's query and in the download's path alike.
    static let otherForms: [String] = [
        "abc", short, "\(zeros)0", "g\(short)", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha512:\(zeros)\(zeros)",
        "sha256:", "sha256:\(short)", "sha256:\(zeros)0", "sha256-\(zeros)", "sha-256:\(zeros)",
        "sha256:sha256:\(zeros)", "%20\(short)", "\(zeros)%00", "-\(short)", "%D9%A0\(short.dropLast())",
    ]

    @Test("another form or algorithm is 400 DIGEST_INVALID; the upload stays open", arguments: otherForms + [""])
    func otherForm(_ text: String) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let upload = try await client.upload(holding: bytes)
        expect(try await client.send(.complete(upload, digest: text)), is: .digestInvalid, naming: "64")
        #expect(try await client.offset(of: upload) == 100)
        #expect(try await !client.isPublished(bytes))
        #expect(try await client.send(.complete(upload)).status == 201)
    }

    @Test("a digest that does not match is 400 with the computed digest and the size in detail, and nothing is lost")
    func mismatch() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let digest = Sample.digest(of: bytes)
        let wrong = Sample.digest(of: [1, 2, 3])
        let upload = try await client.upload(holding: Array(bytes[..<60]))
        let response = try await client.send(.complete(upload, digest: wrong, .bytes(Array(bytes[60...]))))
        expect(response, is: .digestInvalid)
        let detail = response.json?["errors"]?[0]?["detail"]?.all ?? []
        #expect(detail.contains { $0.string?.hasSuffix(digest) == true }, "\(response)")
        #expect(detail.contains(.integer(100)), "\(response)")
        #expect(try await !client.isPublished(bytes), "publishes nothing")
        #expect(try await client.offset(of: upload) == 100, "keeps the upload open")
        #expect(try await client.send(.complete(upload, digest: digest)).status == 201)
    }

    @Test("after a mismatch more bytes can be appended")
    func mismatchThenMore() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let digest = Sample.digest(of: bytes)
        let upload = try await client.upload(holding: Array(bytes[..<60]))
        expect(try await client.send(.complete(upload, digest: digest)), is: .digestInvalid)
        let response = try await client.send(.complete(upload, digest: digest, .bytes(Array(bytes[60...]))))
        #expect(response.status == 201)
    }
}

@Suite("Completing again", .inTurn)
struct CompleteAgainTests {
    private func expectSame(_ first: Response, _ again: Response) {
        #expect(first.status == 201)
        #expect(again.status == 201)
        #expect(again.json == first.json)
        for name in ["Location", "Repr-Digest", "Content-Type"] {
            #expect(again.headers[name] == first.headers[name])
        }
    }

    @Test("repeated by the same owner (a lost reply) it answers the same 201")
    func same() async throws {
        let client = try await Client.newSubject()
        let bytes = try Sample.bytes(100)
        let upload = try await client.upload(holding: bytes, filename: "a.txt")
        let first = try await client.send(.complete(upload, digest: Sample.digest(of: bytes)))
        for digest in [Sample.digest(of: bytes), "sha256:" + Sample.digest(of: bytes), nil] {
            expectSame(first, try await client.send(.complete(upload, digest: digest)))
        }
        let files = try await client.send(.files())
        #expect(files.json?["count"]?.integer == 1, "it is still one file")
    }

    @Test("also when the lost request had a body")
    func sameBody() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let upload = try await client.initiate()
        let request = Request.complete(upload, digest: Sample.digest(of: bytes), .bytes(bytes))
        expectSame(try await client.send(request), try await client.send(request))
        #expect(try await client.send(.download(Sample.digest(of: bytes))).body == bytes)
    }

    @Test(
        "also when it had a guard",
        arguments: [("Upload-Offset", "60"), ("Content-Range", "bytes 60-99/100")])
    func guarded(_ name: String, _ value: String) async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let upload = try await client.upload(holding: Array(bytes[..<60]))
        var headers = Headers()
        headers.add(name, value)
        let request = Request.complete(upload, .bytes(Array(bytes[60...])), headers)
        let first = try await client.send(request)
        #expect(first.json?["digest"]?.string == Sample.digest(of: bytes))
        expectSame(first, try await client.send(request))
    }

    @Test("with a different digest it is 400")
    func otherDigest() async throws {
        let client = try await Client.shared
        let upload = try await client.upload(holding: Sample.bytes(100))
        _ = try await client.complete(upload)
        let other = Sample.digest(of: [1, 2, 3])
        expect(try await client.send(.complete(upload, digest: other)), is: .digestInvalid)
    }

    @Test("append and destroy after it are 404")
    func appendAndDestroy() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let upload = try await client.upload(holding: bytes)
        _ = try await client.complete(upload)
        expect(try await client.send(.append(to: upload, [1])), is: .uploadUnknown)
        expect(try await client.send(.destroy(upload)), is: .uploadUnknown)
        #expect(try await client.send(.download(Sample.digest(of: bytes))).body == bytes)
    }

    @Test("by another, or without the upload's token, it is refused")
    func others() async throws {
        let client = try await Client.newSubject()
        let other = try await Client.newSubject()
        let upload = try await client.upload(holding: Sample.bytes(100))
        _ = try await client.complete(upload)
        expect(try await other.send(.complete(upload)), is: .uploadUnknown)
        expect(try await client.send(.complete(Upload(id: upload.id, token: "wrong"))), is: .uploadInvalid)
    }

    @Test("two at once publish one file")
    func atOnce() async throws {
        let client = try await Client.newSubject()
        let bytes = try Sample.bytes(100)
        let upload = try await client.upload(holding: bytes)
        let request = Request.complete(upload, digest: Sample.digest(of: bytes))
        async let first = client.send(request)
        async let second = client.send(request)
        let answers = try await [first, second]
        #expect(answers.contains { $0.status == 201 })
        #expect(answers.allSatisfy { $0.status == 201 || $0.status == 409 }, "\(answers)")
        #expect(try await client.send(.files()).json?["count"]?.integer == 1)
    }
}
