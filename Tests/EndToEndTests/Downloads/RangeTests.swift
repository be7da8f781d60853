// Contract, download: one byte range, ranges that cannot be satisfied, and the conditions by the ETag.

import Foundation
import Testing

@Suite("Byte ranges", .inTurn)
struct RangeTests {
    /// One blob of 1000 bytes for all rows.
    private static let blob = Task {
        let bytes = try Sample.bytes(1000)
        return (bytes: bytes, digest: try await Client.shared.publish(bytes).digest)
    }

    @Test(
        "a-b, a-, -n: 206 with Content-Range",
        arguments: [
            ("bytes=0-0", 0..<1), ("bytes=0-99", 0..<100), ("bytes=100-199", 100..<200), ("bytes=0-", 0..<1000),
            ("bytes=990-", 990..<1000), ("bytes=999-999", 999..<1000), ("bytes=0-999", 0..<1000),
            ("bytes=500-5000", 500..<1000), ("bytes=-1", 999..<1000), ("bytes=-100", 900..<1000),
            ("bytes=-1000", 0..<1000), ("bytes=-5000", 0..<1000), ("bytes=0-9223372036854775807", 0..<1000),
            ("bytes=10-99999999999999999999", 10..<1000), ("bytes=-99999999999999999999", 0..<1000),
        ])
    func partial(_ range: String, _ expected: Range<Int>) async throws {
        let (bytes, digest) = try await Self.blob.value
        let response = try await Client.shared.anonymous.send(.download(digest, ["Range": range]))
        #expect(response.status == 206)
        #expect(response.headers["Content-Range"] == "bytes \(expected.lowerBound)-\(expected.upperBound - 1)/1000")
        #expect(response.headers["Content-Length"] == String(expected.count))
        #expect(response.headers["ETag"] == "\"\(digest)\"")
        #expect(response.headers["Repr-Digest"] == Sample.reprDigest(of: bytes), "of the whole, always")
        #expect(response.headers["Accept-Ranges"] == "bytes")
        #expect(response.body == Array(bytes[expected]))
    }

    @Test(
        "unsatisfiable or last before first: 416 with Content-Range: bytes */SIZE",
        arguments: [
            "bytes=1000-", "bytes=1000-1001", "bytes=5000-", "bytes=-0", "bytes=5-2", "bytes=999-0",
            "bytes=9223372036854775807-", "bytes=99999999999999999999-",
        ])
    func unsatisfiable(_ range: String) async throws {
        let response = try await Client.shared.anonymous.send(.download(Self.blob.value.digest, ["Range": range]))
        expect(response, is: .rangeInvalid)
        #expect(response.headers["Content-Range"] == "bytes */1000")
    }

    @Test(
        "several ranges or another unit: the whole blob with 200",
        arguments: ["bytes=0-1,5-6", "bytes=0-0,-1", "bytes=0-1, 2-3", "items=0-5", "seconds=1-2"])
    func whole(_ range: String) async throws {
        let (bytes, digest) = try await Self.blob.value
        let response = try await Client.shared.anonymous.send(.download(digest, ["Range": range]))
        #expect(response.status == 200)
        #expect(response.headers["Content-Range"] == nil)
        #expect(response.body == bytes)
    }

    @Test(
        "what is no range at all is not answered with a part",
        arguments: ["bytes=abc", "bytes=", "bytes=-", "bytes", "0-5", "", "bytes=1-2-3", "bytes=--5", "bytes=0x1-0x2"])
    func malformed(_ range: String) async throws {
        let (bytes, digest) = try await Self.blob.value
        let response = try await Client.shared.anonymous.send(.download(digest, ["Range": range]))
        if response.status == 200 {
            #expect(response.body == bytes)
        } else {
            expect(response, is: .rangeInvalid)
        }
    }

    @Test("nothing of an empty blob can be asked for", arguments: ["bytes=0-", "bytes=0-0", "bytes=-1"])
    func empty(_ range: String) async throws {
        let digest = try await Client.shared.publish([]).digest
        let response = try await Client.shared.send(.download(digest, ["Range": range]))
        expect(response, is: .rangeInvalid)
        #expect(response.headers["Content-Range"] == "bytes */0")
    }

    @Test("a large blob's parts put together are the blob")
    func parts() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(3_000_000)
        let digest = try await client.publish(bytes).digest
        let connection = try await client.server.connect()
        defer { connection.close() }
        var joined: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 700_001) {
            let range: Headers = ["Range": "bytes=\(start)-\(start + 700_000)"]
            joined += try await client.anonymous.send(.download(digest, range), on: connection).body
        }
        #expect(joined == bytes)
    }
}

@Suite("Conditions", .inTurn)
struct ConditionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        /// `*tag*` stands for the blob's ETag.
        let condition: (name: String, value: String)
        let status: Int
        var range = false

        var testDescription: String {
            "\(condition.name): \(condition.value)\(range ? " with a range" : "") is \(status)"
        }

        func headers(_ digest: String) -> Headers {
            var headers: Headers = range ? ["Range": "bytes=0-9"] : [:]
            headers.add(condition.name, condition.value.replacing("*tag*", with: "\"\(digest)\""))
            return headers
        }
    }

    static let rows = [
        Row(condition: ("If-Range", "*tag*"), status: 206, range: true),
        Row(condition: ("If-Range", "\"other\""), status: 200, range: true),
        Row(condition: ("If-Range", "W/*tag*"), status: 200, range: true),
        Row(condition: ("If-Range", "Wed, 21 Oct 2015 07:28:00 GMT"), status: 200, range: true),
        Row(condition: ("If-Range", "nonsense"), status: 200, range: true),
        Row(condition: ("If-Range", "*tag*"), status: 200),
        Row(condition: ("If-None-Match", "*tag*"), status: 304),
        Row(condition: ("If-None-Match", "*tag*"), status: 304, range: true),
        Row(condition: ("If-None-Match", "W/*tag*"), status: 304),
        Row(condition: ("If-None-Match", "*"), status: 304),
        Row(condition: ("If-None-Match", "\"other\", *tag*"), status: 304),
        Row(condition: ("If-None-Match", "\"other\""), status: 200),
        Row(condition: ("If-None-Match", "\"other\""), status: 206, range: true),
        Row(condition: ("If-Match", "*tag*"), status: 200),
        Row(condition: ("If-Match", "*tag*"), status: 206, range: true),
        Row(condition: ("If-Match", "*"), status: 200),
        Row(condition: ("If-Match", "\"other\", *tag*"), status: 200),
        Row(condition: ("If-Match", "\"other\""), status: 412),
        Row(condition: ("If-Match", "\"other\""), status: 412, range: true),
        Row(condition: ("If-Match", "W/*tag*"), status: 412),
    ]

    @Test("If-Range, If-None-Match (304), If-Match (412) by the ETag", arguments: rows)
    func condition(_ row: Row) async throws {
        let client = try await Client.shared.anonymous
        let bytes = try Sample.bytes(100)
        let digest = try await Client.shared.publish(bytes).digest
        let response = try await client.send(.download(digest, row.headers(digest)))
        switch row.status {
        case 412: expect(response, is: .preconditionFailed)
        case 304:
            #expect(response.status == 304)
            #expect(response.headers["ETag"] == "\"\(digest)\"")
            #expect(response.headers["Cache-Control"] == "public, max-age=31536000, immutable")
            #expect(response.headers["Repr-Digest"] == Sample.reprDigest(of: bytes), "always")
        default:
            #expect(response.status == row.status)
            #expect(response.body == (row.status == 206 ? Array(bytes[..<10]) : bytes))
        }
        guard !row.range else { return }
        let head = try await client.send(.head(digest, row.headers(digest)))
        #expect(head.status == row.status && head.body.isEmpty)
    }

    @Test("a condition does not make an unknown blob known", arguments: ["If-None-Match", "If-Match"])
    func unknown(_ name: String) async throws {
        var headers = Headers()
        headers.add(name, "*")
        let digest = Sample.digest(of: try Sample.bytes(10))
        let response = try await Client.shared.anonymous.send(.download(digest, headers))
        expect(response, isOneOf: name == "If-Match" ? [.blobUnknown, .preconditionFailed] : [.blobUnknown])
    }
}
