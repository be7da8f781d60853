// Where clients find the server: the form of its URL, and its path before those of requests.

import Foundation
import HTTPTypes
import NIOCore
import Testing

@testable import BlobHTTP
@testable import HTTPServerCore

@Suite struct PublicAddressTests {
    @Test(arguments: [
        ("https://pbx.example.com/files", "https://pbx.example.com/files", "/files"),
        ("https://pbx.example.com/files/", "https://pbx.example.com/files", "/files"),
        ("HTTP://PBX:80/Files/v1.0~a_b-c", "http://pbx/Files/v1.0~a_b-c", "/Files/v1.0~a_b-c"),
        ("https://pbx:8443", "https://pbx:8443", ""), ("https://pbx/", "https://pbx", ""),
        ("http://[::1]:1/a/b", "http://[::1]:1/a/b", "/a/b"),
    ])
    func addresses(_ text: String, _ url: String, _ path: String) throws {
        let address = try #require(PublicAddress(text))
        #expect(address.url == url)
        #expect(address.path == path)
    }

    @Test(arguments: [
        "", "/files", "files", "pbx.example.com/files", "ftp://a/b", "https://", "https:///files", "https://u@a/b",
        "https://u:p@a/b", "https://a?x", "https://a/b?x", "https://a/b?", "https://a/b#", "https://a//",
        "https://a//b",
        "https://a/b//", "https://a/./b", "https://a/b/..", "https://a/f%69les", "https://a/b c", "https://a/b\r\nx:y",
        "https://a/b\"", "https://a/b\\", "https://a/é", "https://a/b:c", "https://a/{b}", "https://a:0/b", "none",
        "https://a/" + String(repeating: "b", count: 1024),
    ])
    func others(_ text: String) {
        #expect(PublicAddress(text) == nil)
    }

    @Test(
        "a path is found behind the public one, and at the root; nothing else is",
        arguments: [
            ("https://a/files", "/files/health", "health"), ("https://a/files", "/health", "health"),
            ("https://a/files", "/files/api/files", "files"), ("https://a/files", "/api/files", "files"),
            ("https://a/files", "/files/api/blobs/uploads/u/append", nil),
            ("https://a/x/y", "/x/y/health", "health"), ("https://a/x/y", "/y/health", nil),
            ("https://a/x/y", "/x/health", nil), ("https://a/x/y", "/x%2Fy/health", nil),
            ("https://a/files", "/files", nil), ("https://a/files", "/files/", nil),
            ("https://a/files", "/filesx/health", nil),
            ("https://a/files", "/file/health", nil), ("https://a/files", "/Files/health", nil),
            ("https://a/files", "/f%69les/health", nil), ("https://a/files", "/files%2Fhealth", nil),
            ("https://a/files", "//files/health", nil), ("https://a/files", "/files//health", nil),
            ("https://a/files", "/files/files/health", nil), ("https://a/files", "/x/../files/health", nil),
            ("https://a/files", "/fileshealth", nil), ("https://a/files", "", nil), ("https://a/files", "*", nil),
            // One that begins as paths of the API do.
            ("https://a/api", "/api/api/files", "files"), ("https://a/api", "/api/files", "files"),
            ("https://a/api/blobs", "/api/blobs/health", "health"),
            ("https://a/api/blobs", "/api/blobs/" + String(repeating: "0", count: 64), "download"),
            ("https://a", "/health", "health"), ("https://a", "//health", nil),
        ])
    func paths(_ url: String, _ path: String, _ operation: String?) async throws {
        let server = SampleServer(address: try #require(PublicAddress(url)))
        let request = server.request(.get, path)
        let answer = await server.answer(to: request)
        // 405 knows the path, and has no operation.
        let isMethod = path.hasSuffix("append")
        #expect(request.record.operation == operation)
        #expect((answer.status == .methodNotAllowed) == isMethod)
        if operation == nil, !isMethod { #expect(answer.status == .notFound) }
        // The log has what came.
        #expect(request.record.path == path)
    }

    @Test("without it nothing is before a path")
    func untold() async {
        let server = SampleServer()
        for path in ["/files/health", "//health"] {
            #expect(await server.answer(to: server.request(.get, path)).status == .notFound)
        }
    }

    @Test("preflights know the methods behind it")
    func preflight() async throws {
        let server = SampleServer(origins: .all, address: try #require(PublicAddress("https://a/files")))
        let fields: HTTPFields = [.origin: "https://b", .accessControlRequestMethod: "POST"]
        let answer = await server.answer(to: server.request(.options, "/files/api/blobs/uploads", fields))
        #expect(answer.fields[.accessControlAllowMethods] == "POST, OPTIONS")
    }

    @Test("openapi.json names it, and is otherwise the same", arguments: ["https://a.example.com:1/files", "http://a"])
    func description(_ url: String) async throws {
        func document(_ address: PublicAddress) async throws -> [String: Any] {
            let server = SampleServer(address: address)
            let answer = await server.answer(to: server.request(.get, "/openapi.json"))
            guard case .buffer(let buffer) = answer.body else { return [:] }
            #expect(answer.fields[.contentLength] == String(buffer.readableBytes))
            let json = try JSONSerialization.jsonObject(with: Data(buffer.readableBytesView))
            return json as? [String: Any] ?? [:]
        }
        var (told, usual) = (try await document(try #require(PublicAddress(url))), try await document(.untold))
        #expect(usual["servers"] as? [[String: String]] == [["url": "/"]])
        #expect(told["servers"] as? [[String: String]] == [["url": url]])
        (told["servers"], usual["servers"]) = (nil, nil)
        #expect(told["paths"] != nil && NSDictionary(dictionary: told) == NSDictionary(dictionary: usual))
    }
}
