// The client before a store that fails: it tries again after failures that may pass, and takes nothing for a success
// that is none.

import Foundation
import NIOCore
import NIOHTTP1
import Testing

@testable import S3Client

@Suite("A store that fails", .timeLimit(.minutes(10)))
struct FaultTests {
    private static let stored = Canned(200, headers: [("ETag", "\"e\"")])
    private static let page = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    private static let made =
        "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
    private static let present = Canned(
        200, headers: [("ETag", "\"h\""), ("Last-Modified", "Fri, 24 May 2013 00:00:00 GMT"), ("Content-Length", "5")])
    private static let upload = S3MultipartUpload(key: "a", id: "1")

    // MARK: Trying again

    static let passing: [(String, Canned)] = [
        ("SlowDown", .error(503, "SlowDown")), ("InternalError", .error(500, "InternalError")),
        ("ServiceUnavailable", .error(503, "ServiceUnavailable")), ("RequestTimeout", .error(400, "RequestTimeout")),
        ("RequestTimeTooSkewed", .error(403, "RequestTimeTooSkewed")), ("429", Canned(429)), ("408", Canned(408)),
        ("500", Canned(500, "<h1>oops</h1>")), ("502", Canned(502, "bad gateway")), ("503", Canned(503)),
        ("504", Canned(504)), ("error in a 200", .error(200, "InternalError")), ("lost", .lost),
        ("cut", Canned(200, headers: [("ETag", "\"e\"")], "some body").cut(after: 3)),
        ("cut error", .error(503, "SlowDown").cut(after: 20)), ("silent", .silent),
        ("silent in its body", Canned(500, "some body").cut(after: 3, .silence)),
    ]

    @Test("what may pass is tried again", arguments: passing)
    func retried(_ name: String, _ fault: Canned) async throws {
        let body = Sample.bytes(300_000)
        try await withCanned(
            [fault, fault, Self.stored], { if fault.end == .silence { $0.idleTimeout = .seconds(5) } }
        ) { store, bucket in
            try await bucket.put("a b", Sample.buffers(body))
            #expect(store.seen.map(\.method) == [.PUT, .PUT, .PUT])
            #expect(store.seen.allSatisfy { $0.uri == "/blobs/a%20b" && $0.body == body })
        }
    }

    static let final: [(Canned, S3Error.Kind)] = [
        (.error(403, "AccessDenied"), .accessDenied), (.error(403, "SignatureDoesNotMatch"), .accessDenied),
        (.error(404, "NoSuchBucket"), .noSuchBucket), (.error(400, "BadDigest"), .checksumMismatch),
        (.error(400, "EntityTooLarge"), .entityTooLarge), (.error(400, "Whatever"), .badRequest),
        (Canned(403), .accessDenied),
        (Canned(411), .badRequest), (Canned(412), .preconditionFailed), (Canned(302), .wrongEndpoint),
        (.error(200, "AccessDenied"), .accessDenied), (Canned(200), .unexpectedReply),
        (Canned(200, "<html>Welcome</html>"), .unexpectedReply),
    ]

    @Test("what will not pass is not", arguments: final)
    func refused(_ reply: Canned, _ kind: S3Error.Kind) async throws {
        try await withCanned([reply]) { store, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.put("a", [ByteBuffer(string: "a")]) }
            #expect(error?.kind == kind && error?.isRetryable == false)
            #expect(error?.status == reply.status)
            #expect(store.seen.count == 1)
        }
    }

    @Test("and what does not pass only so often", arguments: [Canned(500), .error(503, "SlowDown"), .lost])
    func bounded(_ fault: Canned) async throws {
        try await withCanned([fault], { $0.retries.tries = 4 }) { store, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.put("a", [ByteBuffer(string: "a")]) }
            #expect(error?.isRetryable == true)
            #expect(store.seen.count == 4)
        }
    }

    @Test("nor longer than a call may take")
    func boundedTime() async throws {
        try await withCanned(
            [.silent],
            {
                $0.retries.totalTime = .milliseconds(300)
                $0.callTimeout = .milliseconds(200)
            }
        ) { store, bucket in
            let start = ContinuousClock.now
            let error = await #expect(throws: S3Error.self) { try await bucket.put("a", [ByteBuffer(string: "a")]) }
            #expect(error?.kind == .timeout)
            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(store.seen.count <= 2)
        }
    }

    @Test("a bucket that is elsewhere is named with its place")
    func redirection() async throws {
        let more = "<Endpoint>s3.eu-west-1.example.com</Endpoint>"
        let reply = Canned.error(301, "PermanentRedirect", more: more)
        var other = Canned(301)
        other.headers = [("x-amz-bucket-region", "eu-west-1"), ("Location", "http://127.0.0.1:1/")]
        try await withCanned([reply, other]) { store, bucket in
            var error = await #expect(throws: S3Error.self) { try await bucket.put("a", []) }
            #expect(error?.kind == .wrongEndpoint && error?.message.contains("s3.eu-west-1.example.com") == true)
            error = await #expect(throws: S3Error.self) { try await bucket.checkAccess() }
            #expect(error?.kind == .wrongEndpoint && error?.message.contains("region eu-west-1") == true)
            #expect(store.seen.count == 2)
        }
    }

    // MARK: No false success

    @Test(
        "a list that is none",
        arguments: [
            Canned(200, ""), Canned(200, "OK"), Canned(200, "<html/>"), Canned(200, String(page.dropLast(5))),
            Canned(204),
            Canned(200, page.replacing("false", with: "true")),
            Canned(
                200,
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>b</Key></Contents></ListBucketResult>"
            ),
        ])
    func noList(_ reply: Canned) async throws {
        try await withCanned([reply]) { store, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.list(prefix: "", after: nil, limit: 9) }
            #expect(error?.kind == .unexpectedReply)
            #expect(store.seen.count == 1)
        }
    }

    @Test("a list that goes back, or is another's", arguments: ["b", "a", "c/x", "%FF"])
    func wrongList(_ key: String) async throws {
        let entry =
            "<EncodingType>url</EncodingType><Contents><Key>\(key)</Key><Size>1</Size>"
            + "<LastModified>2013-05-24T00:00:00Z</LastModified></Contents>"
        let reply = Canned(200, Self.page.replacing("</IsTruncated>", with: "</IsTruncated>" + entry))
        try await withCanned([reply]) { _, bucket in
            let error = await #expect(throws: S3Error.self) { try await bucket.list(prefix: "b", after: "b", limit: 9) }
            #expect(error?.kind == .unexpectedReply)
        }
    }

    @Test("a completion whose 200 is an error is tried again by its code")
    func completionError() async throws {
        let late = Canned(200, "  \n  \n" + Self.made)
        try await withCanned([.error(200, "InternalError"), late, .error(200, "EntityTooSmall")]) {
            store, bucket async throws in
            let parts = [S3Part(number: 1, eTag: "\"p\"")]
            #expect(try await bucket.completeMultipartUpload(Self.upload, parts: parts) == "\"e\"")
            #expect(store.seen.count == 2)
            let error = await #expect(throws: S3Error.self) {
                try await bucket.completeMultipartUpload(Self.upload, parts: parts)
            }
            #expect(error?.kind == .entityTooSmall && store.seen.count == 3)
        }
    }

    @Test(
        "where a completion's reply does not tell, the object decides",
        arguments: [
            [Canned.lost, .error(404, "NoSuchUpload")], [.error(404, "NoSuchUpload")],
            [Canned(200, "<CompleteMultipartUploadResult/>")],
            [Canned(200, "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>")],
            [Canned(200, "<CompleteMultipartUploadResult><Key>a</Key></CompleteMultipartUploadResult>")],
        ])
    func objectDecides(_ replies: [Canned]) async throws {
        let parts = [S3Part(number: 1, eTag: "\"p\"")]
        try await withCanned(replies + [Self.present]) { store, bucket async throws in
            #expect(try await bucket.completeMultipartUpload(Self.upload, parts: parts) == "\"h\"")
            #expect(store.seen.last?.method == .HEAD)
        }
        try await withCanned(replies + [Canned(404), .error(404, "NoSuchKey")]) { store, bucket in
            let error = await #expect(throws: S3Error.self) {
                try await bucket.completeMultipartUpload(Self.upload, parts: parts)
            }
            #expect(error?.kind == .noSuchUpload || error?.kind == .unexpectedReply)
            #expect(store.seen.suffix(2).map(\.method) == [.HEAD, .GET])
        }
    }

    @Test(
        "a completion whose reply makes no sense is no success", arguments: ["", "OK", "<CompleteMultipartUploadRes"])
    func completionNonsense(_ text: String) async throws {
        try await withCanned([Canned(200, text)]) { _, bucket in
            let error = await #expect(throws: S3Error.self) {
                try await bucket.completeMultipartUpload(Self.upload, parts: [S3Part(number: 1, eTag: "\"p\"")])
            }
            #expect(error?.kind == .unexpectedReply)
        }
    }

    @Test("a completion that fails on and on is one of an upload that is gone, or is not")
    func completionFails() async throws {
        let parts = [S3Part(number: 1, eTag: "\"p\"")]
        let fails = [Canned.error(500, "InternalError"), .error(500, "InternalError")]
        let missing = [Canned(404), .error(404, "NoSuchKey")]
        for (ends, kind) in [
            ([Canned.error(404, "NoSuchUpload")], S3Error.Kind.noSuchUpload),
            ([Canned.error(404, "NoSuchKey")], .noSuchUpload),
            ([Canned(200, "<ListPartsResult/>")], .serverError),
        ] {
            try await withCanned(fails + missing + ends, { $0.retries.tries = 2 }) { store, bucket in
                let error = await #expect(throws: S3Error.self) {
                    try await bucket.completeMultipartUpload(Self.upload, parts: parts)
                }
                #expect(error?.kind == kind)
                #expect(store.seen.map(\.method) == [.POST, .POST, .HEAD, .GET, .GET])
            }
        }
        try await withCanned(fails + [Self.present], { $0.retries.tries = 2 }) { _, bucket async throws in
            #expect(try await bucket.completeMultipartUpload(Self.upload, parts: parts) == "\"h\"")
        }
    }

    @Test("a copy whose 200 is an error is tried again")
    func copyError() async throws {
        let copied = Canned(200, "<CopyPartResult><ETag>\"e\"</ETag></CopyPartResult>")
        try await withCanned([.error(200, "SlowDown"), copied]) { store, bucket async throws in
            #expect(try await bucket.copyPart(Self.upload, number: 1, from: "b c", range: 0..<9).eTag == "\"e\"")
            let headers = store.seen.last?.headers
            #expect(headers?.first(name: "x-amz-copy-source") == "/blobs/b%20c")
            #expect(headers?.first(name: "x-amz-copy-source-range") == "bytes=0-8")
        }
    }

    @Test("what is not named as deleted is not")
    func deletion() async throws {
        let text = """
            <DeleteResult><Deleted><Key>a&amp;b</Key></Deleted><Error><Key>c</Key><Code>AccessDenied</Code></Error>
            <Error><Key>d</Key><Code>NoSuchKey</Code></Error><Error><Key>e</Key><Code>InternalError</Code></Error>
            </DeleteResult>
            """
        try await withCanned([.error(200, "InternalError"), Canned(200, text)]) { store, bucket in
            let failures = try await bucket.delete(["a&b", "c", "d", "e", "f"])
            #expect(failures.mapValues(\.kind) == ["c": .accessDenied, "e": .serverError, "f": .unexpectedReply])
            #expect(store.seen.count == 2)
            #expect(store.seen.allSatisfy { $0.headers.contains(name: "Content-MD5") })
        }
    }

    @Test("a head that tells too little", arguments: ["ETag", "Last-Modified", "Content-Length"])
    func head(_ missing: String) async throws {
        var reply = Self.present
        reply.headers = reply.headers.map { $0.0 == missing ? ($0.0, "?") : $0 }.filter { $0 != ("ETag", "?") }
        if missing == "Content-Length" { reply.headers.removeAll { $0.0 == missing } }
        try await withCanned([reply]) { _, bucket async throws in
            if missing == "Content-Length" {
                #expect(try await bucket.head("a")?.size == 0)
            } else {
                let error = await #expect(throws: S3Error.self) { try await bucket.head("a") }
                #expect(error?.kind == .unexpectedReply)
            }
        }
    }
}
