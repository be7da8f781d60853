// What browsers are told of pages of other origins.

import BlobCore
import BlobStorage
import Foundation
import HTTPTypes
import Logging
import Testing

@testable import BlobHTTP
@testable import HTTPServerCore

@Suite struct CrossOriginAccessTests {
    private static let app = "https://app.example.com"
    private static let names: [HTTPField.Name] = [
        .accessControlAllowOrigin, .accessControlExposeHeaders, .accessControlAllowMethods,
        .accessControlAllowHeaders, .accessControlMaxAge, .accessControlAllowCredentials,
    ]

    private static func listed(_ origins: String...) -> AllowedOrigins {
        .listed(origins.compactMap { WebOrigin($0) })
    }

    @Test(
        "which origin is told, and whether the answer depends on it",
        arguments: [
            (nil, app, nil, nil), (listed(app), app, app, "Origin"), (listed("http://b", app), app, app, "Origin"),
            (listed(app), nil, nil, "Origin"), (listed(app), "https://app.example.com.evil", nil, "Origin"),
            (listed(app), "https://app.example.co", nil, "Origin"), (listed(app), "null", nil, "Origin"),
            (listed(app), "http://app.example.com", nil, "Origin"),
            (listed(app), "https://app.example.com:8443", nil, "Origin"),
            (listed(app), "https://APP.example.com", nil, "Origin"), (listed(app), "", nil, "Origin"),
            (listed(app), app + ", http://b", nil, "Origin"), (listed(app), "*", nil, "Origin"),
            (.all, app, "*", nil), (.all, "null", "*", nil), (.all, nil, "*", nil),
        ] as [(AllowedOrigins?, String?, String?, String?)])
    func origins(_ origins: AllowedOrigins?, _ origin: String?, _ told: String?, _ vary: String?) async {
        let server = SampleServer(origins: origins)
        for path in ["/health", "/nope", "/api/files", "/api/blobs/" + String(repeating: "0", count: 64)] {
            var fields: HTTPFields = [:]
            fields[.origin] = origin
            let answer = await server.answer(to: server.request(.get, path, fields))
            #expect(answer.fields[values: .accessControlAllowOrigin] == told.map { [$0] } ?? [])
            #expect(answer.fields[values: .vary] == vary.map { [$0] } ?? [])
            #expect((answer.fields[.accessControlExposeHeaders] != nil) == (told != nil))
            // Cookies are nothing here, and a page must not be asked for them.
            #expect(answer.fields[.accessControlAllowCredentials] == nil)
        }
    }

    @Test(
        "errors bear it, whoever makes them",
        arguments: [
            (.get, "/nope", 404), (.post, "/health", 405), (.get, "/api/files", 401), (.connect, "/health", 405),
            (.get, "/api/blobs/0", 400), (.get, "/" + String(repeating: "a", count: 9000), 414),
        ] as [(HTTPRequest.Method, String, Int)])
    func errors(_ method: HTTPRequest.Method, _ path: String, _ status: Int) async {
        let server = SampleServer(origins: Self.listed(Self.app))
        let answer = await server.answer(to: server.request(method, path, [.origin: Self.app]))
        #expect(answer.status.code == status)
        #expect(answer.fields[.accessControlAllowOrigin] == Self.app)
        #expect(answer.fields[.accessControlExposeHeaders]?.contains("X-Request-ID") == true)
    }

    private struct Surprise: Error {}

    @Test("answers of every kind of endpoint bear it: at once, redirections, faults of the server")
    func endpoints() async {
        let server = SampleServer()
        let policy = DownloadPolicy(isPrivate: false, crossOriginResourcePolicy: "cross-origin", clock: server.clock)
        let surface = Endpoints(endpoints: [
            .open(.get, "/later", "later") { _, _ in policy.redirection(to: "https://bucket.example.com/x") },
            .open(.get, "/now", "now") { _, _ in Response(.ok) }.answering { _, _ in Response(.noContent) },
            .open(.get, "/fault", "fault") { _, _ in throw Surprise() },
            .open(.get, "/full", "full") { _, _ in throw BlobError(.tooLarge(limit: 1)) },
        ])
        let chain = Chain(
            [surface], authenticator: Authenticator(catalog: server.catalog, clock: server.clock), isReadOnly: false,
            origins: Self.listed(Self.app), log: RequestLog(logger: Logger(label: "test"))
        )
        for (path, status) in [("/later", 307), ("/now", 204), ("/fault", 500), ("/full", 413)] {
            let answer: Response
            switch chain.answer(to: server.request(.get, path, [.origin: Self.app])) {
            case .now(let now): answer = now
            case .later(_, let later): answer = await later()
            }
            #expect(answer.status.code == status)
            #expect(answer.fields[.accessControlAllowOrigin] == Self.app, "\(path)")
            #expect(answer.fields[.vary] == "Origin", "\(path)")
        }
    }

    private struct Endpoints: Surface {
        let endpoints: [Endpoint]
    }

    @Test func whatIsNoRequestGetsNone() {
        let server = SampleServer(origins: .all)
        let answer = server.chain.answer(
            to: .headersTooLarge, RequestRecord(id: "7", method: nil, path: "", peer: nil))
        for name in Self.names + [.vary] { #expect(answer.fields[name] == nil) }
    }

    // MARK: Preflights

    @Test("each path tells its methods, without a token", arguments: [listed(app), .all])
    func preflights(_ origins: AllowedOrigins) async {
        let server = SampleServer(origins: origins)
        for endpoint in server.surfaces.flatMap(\.endpoints) {
            let request = server.request(
                .options, endpoint.path.text,
                [.origin: Self.app, .accessControlRequestMethod: endpoint.method.rawValue])
            let answer = await server.answer(to: request)
            #expect(answer.status == .noContent)
            #expect(answer.fields[.accessControlAllowOrigin] == (origins == .all ? "*" : Self.app))
            let methods = answer.fields[.accessControlAllowMethods] ?? ""
            #expect(methods == answer.fields[.allow])
            #expect(methods.split(separator: ", ").contains(Substring(endpoint.method.rawValue)), "\(methods)")
            #expect(answer.fields[.accessControlAllowHeaders]?.contains("Authorization") == true)
            #expect(answer.fields[.accessControlMaxAge] == "86400")
        }
    }

    @Test(
        "what is no preflight of an allowed origin is answered as ever",
        arguments: [
            (listed(app), .options, "/health", [.origin: app]), (.all, .options, "/health", [.origin: app]),
            (.all, .options, "/health", [.accessControlRequestMethod: "GET"]),
            (listed(app), .options, "/health", [.origin: "http://b", .accessControlRequestMethod: "GET"]),
            (listed(app), .get, "/health", [.origin: app, .accessControlRequestMethod: "GET"]),
            (listed(app), .options, "/nope", [.origin: app, .accessControlRequestMethod: "GET"]),
            (nil, .options, "/health", [.origin: app, .accessControlRequestMethod: "GET"]),
        ] as [(AllowedOrigins?, HTTPRequest.Method, String, HTTPFields)])
    func noPreflights(
        _ origins: AllowedOrigins?, _ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields
    ) async {
        let (server, other) = (SampleServer(origins: origins), SampleServer())
        let answer = await server.answer(to: server.request(method, path, fields))
        let usual = await other.answer(to: other.request(method, path, fields))
        #expect(answer.status == usual.status)
        #expect(answer.fields[.allow] == usual.fields[.allow])
        for name in [HTTPField.Name.accessControlAllowMethods, .accessControlAllowHeaders, .accessControlMaxAge] {
            #expect(answer.fields[name] == nil, "\(name)")
        }
    }

    @Test("a preflight counts for no rate, and the refusal of a request can be read")
    func rates() async {
        let rate = RequestRate(count: 1, per: .seconds(3600))
        let clock = SampleServer().clock
        let server = SampleServer(
            limits: RateLimits(perSubject: nil, perAddress: rate, clock: clock), origins: Self.listed(Self.app))
        func answer(_ method: HTTPRequest.Method) async -> Response {
            let head = HTTPRequest(
                method: method, scheme: nil, authority: nil, path: "/openapi.json",
                headerFields: [.origin: Self.app, .accessControlRequestMethod: "GET"])
            let peer = IPAddress("192.0.2.7").map { Peer($0, port: 1) }
            return await server.answer(to: Request(head: head, body: RequestBody(length: 0) {}, peer: peer))
        }
        for _ in 0..<3 { #expect(await answer(.options).status == .noContent) }
        #expect(await answer(.get).status == .ok)
        let refused = await answer(.get)
        #expect(refused.status == .tooManyRequests)
        #expect(refused.fields[.accessControlAllowOrigin] == Self.app)
        #expect(refused.fields[.accessControlExposeHeaders]?.contains("Retry-After") == true)
        #expect(await answer(.options).status == .noContent)
    }

    // MARK: The lists

    /// Those of openapi.json that every page may send or read (Fetch standard §2.2.2), and those that are for its
    /// browser.
    private static let free: Set = [
        "cache-control", "content-length", "content-type", "content-security-policy", "cross-origin-resource-policy",
        "x-content-type-options",
    ]

    @Test("a page may send each header that openapi.json takes, and read each that it promises")
    func listsAreComplete() async throws {
        let server = SampleServer(origins: .all)
        let answer = await server.answer(
            to: server.request(.options, "/health", [.origin: Self.app, .accessControlRequestMethod: "GET"]))
        func list(_ name: HTTPField.Name) -> Set<String> {
            Set((answer.fields[name] ?? "").lowercased().split(separator: ", ").map(String.init))
        }
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(PackageResources.openapi_json)) as? [String: Any])
        var (sent, read) = (Set<String>(), Set<String>())
        func look(at value: Any) {
            if let values = value as? [Any] { values.forEach(look) }
            guard let object = value as? [String: Any] else { return }
            if object["in"] as? String == "header", let name = object["name"] as? String {
                sent.insert(name.lowercased())
            }
            if object["description"] != nil, let headers = object["headers"] as? [String: Any] {
                read.formUnion(headers.keys.map { $0.lowercased() })
            }
            object.values.forEach(look)
        }
        look(at: document)
        #expect(sent.contains("portsip-upload-token") && read.contains("upload-offset"))
        #expect(sent.subtracting(list(.accessControlAllowHeaders)).subtracting(Self.free) == [])
        #expect(read.subtracting(list(.accessControlExposeHeaders)).subtracting(Self.free) == [])
        #expect(list(.accessControlAllowHeaders).isSuperset(of: ["authorization", "content-type", "range"]))
    }
}

@Suite struct WebOriginTests {
    @Test(arguments: [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.COM:443", "https://app.example.com"),
        ("http://a:80", "http://a"), ("http://a:443", "http://a:443"), ("https://a:08443", "https://a:8443"),
        ("http://localhost:5173", "http://localhost:5173"), ("capacitor://localhost", "capacitor://localhost"),
        ("http://192.0.2.7:1", "http://192.0.2.7:1"), ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"), ("https://my_host", "https://my_host"),
    ])
    func origins(_ text: String, _ origin: String) {
        #expect(WebOrigin(text)?.text == origin)
    }

    @Test(arguments: [
        "", "null", "*", "https://", "https:", "https://a/", "https://a?", "https://a#b", "https://a:", "https://a:0",
        "https://a:65536", "https://a:+1", "https://a:1:2", "https://u@a", "https://a b", "https://*.a",
        "a.example.com",
        "://a", "1s://a", "https://a..b", "https://a.", "https://bücher.example", "https://[::1", "https://[::1]a",
        "https://[a]", "https://[::ffff:192.0.2.7]", "http://10.0.0.300", "http://1", "https://a\r\nx: y", "file:///a",
        "https://\u{212A}", "https://a,b",
    ])
    func others(_ text: String) {
        #expect(WebOrigin(text) == nil)
    }
}
