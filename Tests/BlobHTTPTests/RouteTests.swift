// Which request asks for what.

import BlobCore
import HTTPTypes
import Testing

@testable import BlobHTTP

@Suite struct RouteTests {
    @Test(arguments: [
        (HTTPRequest.Method.post, "/api/blobs/uploads", Route.initiate),
        (.post, "/api/blobs/uploads/u/append", .append("u")),
        (.get, "/api/blobs/uploads/u/status", .status("u")),
        (.post, "/api/blobs/uploads/u/complete", .complete("u")),
        (.post, "/api/blobs/uploads/u/destroy", .destroy("u")),
        (.get, "/api/blobs/d", .download("d")),
        (.head, "/api/blobs/d", .download("d")),
        (.get, "/api/files", .files),
        (.head, "/api/files", .files),
        (.head, "/health", .health),
        (.get, "/api/files/f", .file("f")),
        // Names the file "", which no file is called.
        (.get, "/api/files/", .file("")),
        (.post, "/api/files/f/destroy", .destroyFile("f")),
        (.get, "/health", .health),
        (.get, "/ready", .ready),
        (.get, "/metrics", .metrics),
        (.get, "/openapi.json", .openAPI),
    ])
    func knownRequests(_ method: HTTPRequest.Method, _ path: String, _ route: Route) throws {
        #expect(try Route(method, path[...]) == route)
    }

    @Test(arguments: [
        "", "/", "/api", "/api/", "/api/blobs", "/api/files/f/destroy/", "/api/blobs/uploads/u",
        "/api/blobs/uploads/u/other", "/api/blobs/uploads/u/append/more", "//api/files", "/health/", "api/files",
    ])
    func unknownPaths(_ path: String) {
        #expect { try Route(.get, path[...]) } throws: { ($0 as? BlobError)?.code == .notFound }
    }

    @Test(arguments: [
        ("/api/blobs/uploads", HTTPRequest.Method.get, ["POST"]),
        ("/api/blobs/uploads/u/status", .post, ["GET", "HEAD"]),
        ("/api/blobs/d", .post, ["GET", "HEAD"]),
        ("/api/files", .delete, ["GET", "HEAD"]),
        ("/health", .post, ["GET", "HEAD"]),
    ])
    func otherMethods(_ path: String, _ method: HTTPRequest.Method, _ allowed: [String]) {
        #expect { try Route(method, path[...]) } throws: { error in
            (error as? BlobError)?.code == .methodNotAllowed
                && (error as? BlobError)?.detail == .allowedMethods(allowed)
        }
    }

    @Test func onlyDownloadsAndTheServersOwnRoutesArePublic() {
        let routes: [Route] = [
            .initiate, .append(""), .status(""), .complete(""), .destroy(""), .download(""), .files, .file(""),
            .destroyFile(""), .health, .ready, .metrics, .openAPI,
        ]
        let open = routes.filter { $0.access(privateDownloads: false) == .everybody }
        #expect(open == [.download(""), .health, .ready, .metrics, .openAPI])
        #expect(Route.download("").access(privateDownloads: true) == .bearer(of: .read))
    }
}
