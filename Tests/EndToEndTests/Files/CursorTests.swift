// Contract, beyond the reference: `after` and `next`, and the path of a file.

import Foundation
import Testing

@Suite("Paging by cursor", .inTurn)
struct CursorTests {
    /// All pages, with an action after each.
    private func walk(
        _ client: Client, _ parameters: String, _ between: ([String]) async throws -> Void = { _ in }
    ) async throws -> [String] {
        var (listed, after): ([String], String?) = ([], nil)
        repeat {
            let response = try await client.send(.files(parameters + (after.map { "&after=" + $0 } ?? "")))
            #expect(response.status == 200)
            let items = try #require(response.json?["items"]?.array)
            let ids = items.compactMap { $0["id"]?.string }
            listed += ids
            after = response.json?["next"]?.string
            if after != nil { try await between(ids) }
        } while after != nil
        return listed
    }

    @Test(
        "every file that is there throughout is listed exactly once while others come and go",
        arguments: ["created_at", "created_at%20desc", "name", "name%20desc", "size", "size%20desc"])
    func throughout(_ order: String) async throws {
        let client = try await Client.newSubject()
        var (staying, leaving): ([String], [String]) = ([], [])
        for number in 0..<40 {
            // Four of each name, and as many of each size.
            let file = try await client.publish(Sample.bytes(10 + number / 4), filename: "file \(number % 10)")
            if number.isMultiple(of: 2) { staying.append(file.id) } else { leaving.append(file.id) }
        }
        var rounds = 0
        let listed = try await walk(client, "orderby=\(order)&top=7") { page in
            rounds += 1
            // One that was listed, the cursor's own where it may go, one that was not listed, and new ones here and
            // there.
            let gone = Set(
                [page.first { leaving.contains($0) }, page.last, leaving.first, leaving.last].compactMap { $0 })
            for id in gone where leaving.contains(id) {
                #expect(try await client.send(.destroyFile(id)).status == 204)
                leaving.removeAll { $0 == id }
            }
            guard rounds <= 5 else { return }
            for name in ["a", "file 4", "z"] { _ = try await client.publish(Sample.bytes(rounds * 4), filename: name) }
        }
        #expect(staying.filter { id in listed.count { $0 == id } != 1 }.isEmpty)
        #expect(Set(listed).count == listed.count)
    }

    @Test("the last page has null, also where it is full; skip leads to a cursor")
    func ends() async throws {
        let client = try await Client.newSubject()
        #expect(try await client.send(.files()).json?["next"] == .null)
        for number in 0..<4 { _ = try await client.publish([UInt8(number)], filename: "\(number)") }
        for (parameters, hasNext) in [
            ("top=3", true), ("top=4", false), ("top=100", false), ("skip=1&top=3", false), ("skip=1&top=2", true),
        ] {
            let json = try await client.send(.files("orderby=name&" + parameters)).json
            #expect((json?["next"]?.string != nil) == hasNext, "\(parameters)")
            guard let next = json?["next"]?.string else { continue }
            let following = try await client.send(.files("orderby=name&after=\(next)")).json
            #expect(following?["items"]?.array?.map { $0["name"]?.string } == ["3"], "\(parameters)")
            #expect(following?["next"] == .null && following?["count"]?.integer == 4)
        }
    }

    @Test("a cursor is of one order, stands alone, and is nothing but what was told: else 400 naming after")
    func refusals() async throws {
        let client = try await Client.newSubject()
        for number in 0..<2 { _ = try await client.publish([UInt8(number)], filename: "\(number)") }
        let next = try #require(try await client.send(.files("orderby=name&top=1")).json?["next"]?.string)
        for parameters in [
            "after=\(next)", "after=\(next)&orderby=name%20desc", "after=\(next)&orderby=size",
            "after=\(next)&orderby=name&skip=0", "after=", "after=%00", "after=AQ", "after=null",
            "after=\(next)A&orderby=name", "after=\(String(repeating: "A", count: 5000))", "after=%FF",
        ] {
            expect(try await client.send(.files(parameters)), is: .validateFailed, naming: "after")
        }
        // A cursor gives no right: another subject's leads through one's own files.
        let other = try await Client.newSubject()
        let own = try await other.publish([7], filename: "9")
        let items = try await other.send(.files("orderby=name&after=\(next)")).json?["items"]?.array
        #expect(items?.map { $0["id"]?.string } == [own.id])
    }
}

@Suite("Paths", .inTurn)
struct PathTests {
    @Test("a path is kept, listed and searched, and names no download")
    func kept() async throws {
        let client = try await Client.newSubject()
        let path = "2026/تقرير/call one.wav"
        let query = "filename=call.wav&path=\(Request.encoded(path))"
        let begun = try await client.send(Request(method: "POST", target: "/api/blobs/uploads?" + query))
        #expect(begun.status == 202)
        let bytes = try Sample.bytes(100)
        let file = try await client.complete(Upload(begun), .bytes(bytes))
        #expect(file.body["path"]?.string == path && file.body["name"]?.string == "call.wav")
        #expect(try await client.send(.file(file.id)).json?["path"]?.string == path)
        let without = try await client.publish(Sample.bytes(101), filename: "other.wav")
        #expect(without.body["path"] == .null)
        for (search, expected) in [("2026/", [file.id]), ("CALL%20ONE", [file.id]), ("wav", [file.id, without.id])] {
            let items = try await client.send(.files("search=\(search)")).json?["items"]?.array
            #expect(items?.map { $0["id"]?.string } == expected, "\(search)")
        }
        let download = try await client.send(.download(file.digest))
        #expect(download.headers["Content-Disposition"] == #"attachment; filename="call.wav""#)
    }

    @Test(
        "a path that leads elsewhere is 400 VALIDATE_FAILED naming it",
        arguments: [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a%2F..", "a%00", "a%0Ab", "%FF",
            String(repeating: "a", count: 1025),
        ])
    func nonsense(_ path: String) async throws {
        let request = Request(method: "POST", target: "/api/blobs/uploads?path=" + path)
        expect(try await Client.shared.send(request), is: .validateFailed, naming: "path")
    }
}
