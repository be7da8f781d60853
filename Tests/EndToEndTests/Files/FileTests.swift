// Contract, files: uploaded files can be found and deleted.

import Foundation
import Testing

@Suite("Listing files", .inTurn)
struct FileListTests {
    /// Of a subject with five files: names, sizes and times of creation all order them differently.
    private static let owner = Task {
        let client = try await Client.newSubject()
        for (name, size) in [
            ("cherry.txt", 30), ("apple.txt", 50), ("date.png", 10), ("banana.txt", 20), ("100%_ش.txt", 40),
        ] {
            _ = try await client.publish(Sample.bytes(size), filename: name)
        }
        return client
    }

    static let byCreation = ["cherry.txt", "apple.txt", "date.png", "banana.txt", "100%_ش.txt"]
    static let byName = ["100%_ش.txt", "apple.txt", "banana.txt", "cherry.txt", "date.png"]
    static let bySize = ["date.png", "banana.txt", "cherry.txt", "100%_ش.txt", "apple.txt"]

    private func list(_ parameters: String) async throws -> (count: Int64?, names: [String?]) {
        let request = Request.get("/api/files" + (parameters.isEmpty ? "" : "?" + parameters))
        let response = try await Self.owner.value.send(request)
        #expect(response.status == 200)
        #expect(response.json?.object?.keys.sorted() == ["count", "items", "next", "subject"])
        let items = try #require(response.json?["items"]?.array)
        return (response.json?["count"]?.integer, items.map { $0["name"]?.string })
    }

    @Test("200 with the count and all items")
    func all() async throws {
        let (count, names) = try await list("")
        #expect(count == 5)
        #expect(Set(names) == Set(Self.byName))
    }

    @Test(
        "orderby: name, size, created_at, each with an optional asc or desc",
        arguments: [
            ("name", byName), ("name%20asc", byName), ("name%20desc", byName.reversed()), ("size", bySize),
            ("size%20asc", bySize), ("size%20desc", bySize.reversed()), ("created_at", byCreation),
            ("created_at%20asc", byCreation), ("created_at%20desc", byCreation.reversed()),
        ])
    func order(_ order: String, _ expected: [String]) async throws {
        #expect(try await list("orderby=" + order).names == expected)
    }

    @Test("skip and top give a page; count is that of all")
    func page() async throws {
        for (parameters, expected) in [
            ("top=2", names(0..<2)), ("skip=1&top=2", names(1..<3)), ("skip=4&top=100", names(4..<5)), ("skip=5", []),
            ("skip=1000000", []), ("skip=9223372036854775807", []), ("skip=0&top=1", names(0..<1)),
        ] {
            let page = try await list("orderby=name&" + parameters)
            #expect(page.names == expected, "\(parameters)")
            #expect(page.count == 5, "\(parameters)")
        }
    }

    private func names(_ range: Range<Int>) -> [String] { Array(Self.byName[range]) }

    @Test(
        "search matches in the name, every character as itself",
        arguments: [
            ("an", ["banana.txt"]), ("apple.txt", ["apple.txt"]), ("ppl", ["apple.txt"]), ("nothing", []),
            ("%25", ["100%_ش.txt"]), ("_", ["100%_ش.txt"]), ("%D8%B4", ["100%_ش.txt"]), ("%27", []),
            ("%25%27%20OR%201%3D1--", []), ("*", []), ("%5C", []), (".png", ["date.png"]),
        ])
    func search(_ text: String, _ expected: [String]) async throws {
        let found = try await list("orderby=name&search=" + text)
        #expect(found.names == expected)
        #expect(found.count == Int64(expected.count))
    }

    @Test("an empty search matches all")
    func emptySearch() async throws {
        #expect(try await list("search=").count == 5)
    }

    @Test(
        "a parameter that makes no sense is 400 VALIDATE_FAILED naming it",
        arguments: [
            ("top", "0"), ("top", "101"), ("top", "-1"), ("top", "abc"), ("top", ""), ("top", "1.5"),
            ("top", "99999999999999999999"), ("skip", "-1"), ("skip", "abc"), ("skip", ""),
            ("skip", "99999999999999999999"), ("skip", "-9223372036854775808"), ("orderby", ""), ("orderby", "id"),
            ("orderby", "name%20sideways"), ("orderby", "name,size"), ("orderby", "name%3BDROP%20TABLE"),
            ("orderby", "desc"), ("search", "%FF"), ("search", "%"),
        ])
    func nonsense(_ name: String, _ value: String) async throws {
        let response = try await Client.shared.send(.files("\(name)=\(value)"))
        expect(response, is: .validateFailed, naming: name)
    }

    @Test("top is 100 by default and at most")
    func top() async throws {
        let client = try await Client.newSubject()
        let connection = try await client.server.connect()
        defer { connection.close() }
        for number in 0..<101 {
            let upload = try Upload(await client.send(.initiate(filename: "file \(number)"), on: connection))
            #expect(try await client.send(.complete(upload, .bytes([UInt8(number)])), on: connection).status == 201)
        }
        for request in [Request.files(), .files("top=100")] {
            let response = try await client.send(request)
            #expect(response.json?["count"]?.integer == 101)
            #expect(response.json?["items"]?.array?.count == 100)
        }
    }

    @Test("a token without the admin scope sees its own subject's files only; admin sees all")
    func ownership() async throws {
        let first = try await Client.newSubject()
        let second = try await Client.newSubject()
        let name = "shared-\(UUID().uuidString).txt"
        let one = try await first.publish(Sample.bytes(10), filename: name)
        let two = try await second.publish(Sample.bytes(10), filename: name)
        let ids = { (client: Client) in
            let items = try await client.send(.files("search=\(name)")).json?["items"]?.array
            return Set((items ?? []).compactMap { $0["id"]?.string })
        }
        #expect(try await ids(first) == [one.id])
        #expect(try await ids(second) == [two.id])
        #expect(try await ids(Client.shared) == [one.id, two.id])
    }
}

@Suite("Files", .inTurn)
struct FileTests {
    @Test("an item: id, name, size, media_type, created_at, digest, url, temporary, expires_at, owner, path")
    func item() async throws {
        let client = try await Client.newSubject()
        let bytes = try Sample.bytes(123)
        let published = try await client.publish(bytes, filename: "تقرير.txt", temporary: true)
        let response = try await client.send(.file(published.id))
        #expect(response.status == 200)
        let item = try #require(response.json)
        let keys = [
            "created_at", "digest", "expires_at", "id", "media_type", "name", "owner", "path", "size", "temporary",
            "url",
        ]
        #expect(item.object?.keys.sorted() == keys)
        #expect(item["id"]?.string == published.id)
        #expect(item["name"]?.string == "تقرير.txt")
        #expect(item["size"]?.integer == 123)
        #expect(item["digest"]?.string == Sample.digest(of: bytes))
        #expect(item["url"] == published.body["url"])
        #expect(item["temporary"]?.boolean == true)
        #expect(abs(try Dates.rfc3339(item["created_at"]).timeIntervalSinceNow) < 300)
        let life = try Dates.rfc3339(item["expires_at"]).timeIntervalSinceNow
        #expect(abs(life - 30 * 86400) < 300, "temporary files go 30 days after completion by default")
        #expect(try await client.send(.files()).json?["items"]?[0] == item)
    }

    @Test(
        "media_type is that of the name",
        arguments: [
            ("a.txt", "text/plain"), ("a.PNG", "image/png"), ("a.jpg", "image/jpeg"), ("a.pdf", "application/pdf"),
            ("a", "application/octet-stream"), ("a.nonsense", "application/octet-stream"),
        ])
    func mediaType(_ name: String, _ type: String) async throws {
        let client = try await Client.shared
        let published = try await client.publish(Sample.bytes(10), filename: name)
        let item = try await client.send(.file(published.id)).json
        #expect(item?["media_type"]?.string?.hasPrefix(type) == true)
    }

    @Test(
        "unknown is 404 FILE_UNKNOWN, whatever its form",
        arguments: [
            "NzAwNTUxOTA5NzczMTQ4MTYw", "nonsense", "MQ==", "LTE=", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "====", "%",
            "\u{0}",
            "../../etc/passwd", String(repeating: "A", count: 2000),
        ])
    func unknown(_ id: String) async throws {
        let client = try await Client.shared
        expect(try await client.send(.file(id)), is: .fileUnknown)
        expect(try await client.send(.destroyFile(id)), is: .fileUnknown)
    }

    @Test("another's is as unknown; admin may see and destroy it")
    func ownership() async throws {
        let owner = try await Client.newSubject()
        let other = try await Client.newSubject()
        let published = try await owner.publish(Sample.bytes(10))
        let refused = try await other.send(.file(published.id))
        expect(refused, is: .fileUnknown)
        let never = try await other.send(.file(PrivateRoutes.file))
        #expect(refused.text.replacing(published.id, with: "") == never.text.replacing(PrivateRoutes.file, with: ""))
        expect(try await other.send(.destroyFile(published.id)), is: .fileUnknown)
        #expect(try await owner.send(.file(published.id)).status == 200)
        #expect(try await Client.shared.send(.file(published.id)).status == 200)
        #expect(try await Client.newSubject("admin,delete").send(.destroyFile(published.id)).status == 204)
    }

    @Test("destroy is 204; the file is gone, and its blob with the last file")
    func destroy() async throws {
        let client = try await Client.newSubject()
        let bytes = try Sample.bytes(10)
        let first = try await client.publish(bytes)
        let second = try await client.publish(bytes)
        let response = try await client.send(.destroyFile(first.id))
        #expect(response.status == 204 && response.body.isEmpty)
        expect(try await client.send(.file(first.id)), is: .fileUnknown)
        expect(try await client.send(.destroyFile(first.id)), is: .fileUnknown)
        #expect(try await client.send(.files()).json?["count"]?.integer == 1)
        #expect(try await client.send(.download(second.digest)).body == bytes)
        #expect(try await client.send(.destroyFile(second.id)).status == 204)
        expect(try await client.send(.download(second.digest)), is: .blobUnknown)
    }

    @Test("what was destroyed can be uploaded again")
    func again() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(10)
        #expect(try await client.send(.destroyFile(client.publish(bytes).id)).status == 204)
        let published = try await client.publish(bytes)
        #expect(try await client.send(.download(published.digest)).body == bytes)
    }
}

@Suite("Reclaiming", .inTurn)
struct ReclaimTests {
    static let flags = ["--reclaim-interval", "1s", "--reclaim-grace", "0s"]

    @Test("the blob's bytes go after its last file went; open downloads finish")
    func bytesGo() async throws {
        try await withServer(Self.flags) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(16 << 20)
            let file = try await client.publish(bytes)
            let slow = try await server.connect(receiveBuffer: 65536)
            defer { slow.close() }
            try await slow.send(Request.download(file.digest))
            try await eventually("the download has begun") { try slow.hasNews() ? true : nil }
            #expect(try await client.send(.destroyFile(file.id)).status == 204)
            try await eventually("the blob is gone from the disk") {
                try server.files(in: "blobs").isEmpty ? true : nil
            }
            #expect(try await slow.receive().body == bytes)
        }
    }

    @Test("temporary files go a configurable time after completion, their blobs with them")
    func temporary() async throws {
        try await withServer(Self.flags + ["--temporary-expiry", "8s"]) { server in
            let client = try server.admin()
            let kept = try await client.publish(Sample.bytes(10))
            let bytes = try Sample.bytes(10)
            let file = try await client.publish(bytes, temporary: true)
            #expect(try await client.send(.download(file.digest)).body == bytes)
            try await eventually("the temporary file has gone") {
                try await client.send(.file(file.id)).status == 404 ? true : nil
            }
            expect(try await client.send(.download(file.digest)), is: .blobUnknown)
            try await eventually("its bytes are gone from the disk") {
                try server.files(in: "blobs").count == 1 ? true : nil
            }
            #expect(try await client.send(.download(kept.digest)).status == 200)
        }
    }

    @Test("a blob that a live file points at stays")
    func liveStays() async throws {
        try await withServer(Self.flags) { server in
            let client = try server.admin()
            let bytes = try Sample.bytes(10)
            let first = try await client.publish(bytes)
            let second = try await client.publish(bytes)
            let witness = try await client.publish(Sample.bytes(20))
            #expect(try await client.send(.destroyFile(first.id)).status == 204)
            #expect(try await client.send(.destroyFile(witness.id)).status == 204)
            try await eventually("the reclaimer has been here") {
                try server.files(in: "blobs").map(\.size) == [10] ? true : nil
            }
            #expect(try await client.send(.download(second.digest)).body == bytes)
        }
    }
}
