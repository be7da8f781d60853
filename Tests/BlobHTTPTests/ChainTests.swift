// Every answer leaves through one chain, and the endpoints are those of openapi.json.

import BlobCore
import BlobStorage
import Foundation
import HTTPTypes
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import BlobHTTP
@testable import HTTPServerCore

@Suite struct ChainTests {
    @Test(
        "what every answer bears, refusals and remembered downloads too",
        arguments: [
            (HTTPRequest.Method.get, "/health", 200), (.get, "/nope", 404), (.post, "/health", 405),
            (.options, "/health", 204),
            (.get, "/api/files", 401), (.get, "/" + String(repeating: "a", count: 9000), 414), (.head, "/health", 200),
        ])
    func commonHeaders(_ method: HTTPRequest.Method, _ path: String, _ status: Int) async {
        let server = SampleServer()
        let answer = await server.answer(to: server.request(method, path, [.requestID: "mine"]))
        #expect(answer.status.code == status)
        #expect(answer.fields[.requestID] == "mine")
        #expect(answer.fields[.date] != nil)
    }

    @Test(arguments: [
        (Refusal.malformed("it is none"), 400, "BAD_REQUEST"), (.unknownTransferCoding, 501, "NOT_IMPLEMENTED"),
        (.requestLineTooLong, 414, "URI_TOO_LONG"),
        (.headersTooLarge, 431, "HEADERS_TOO_LARGE"),
    ])
    func refusalsLeaveTheSameWay(_ refusal: Refusal, _ status: Int, _ code: String) {
        let record = RequestRecord(id: "7", method: nil, path: "", peer: nil)
        let answer = SampleServer().chain.answer(to: refusal, record)
        #expect(answer.status.code == status)
        #expect(answer.fields[.requestID] == "7")
        #expect(answer.fields[.date] != nil)
        #expect(record.failure?.code == code)
    }

    private struct Surprise: Error {}

    @Test func whatNobodyClassifiedIsAFaultOfTheServerAndToldToTheOperatorAlone() async {
        let log = RequestLog(logger: Logger(label: "test"))
        let server = SampleServer()
        let surface = OneEndpoint { _, _ in throw Surprise() }
        let chain = Chain(
            [surface], authenticator: Authenticator(catalog: server.catalog, clock: server.clock), isReadOnly: false,
            log: log
        )
        let request = server.request(.get, "/surprise")
        guard case .later(_, let answer) = chain.answer(to: request) else {
            Issue.record("it was answered at once")
            return
        }
        #expect(await answer().status == .internalServerError)
        #expect(request.record.failure?.code == "INTERNAL_ERROR")
        #expect(request.record.failure?.message == "\(Surprise())")
        #expect(request.record.failure?.isServers == true)
    }

    private struct OneEndpoint: Surface {
        let endpoints: [Endpoint]

        init(_ handler: @escaping Endpoint.Open) { endpoints = [.open(.get, "/surprise", "surprise", handler)] }
    }

    @Test func headHasTheHeadersOfGetAndNoBody() async {
        let server = SampleServer()
        let get = await server.answer(to: server.request(.get, "/openapi.json"))
        let head = await server.answer(to: server.request(.head, "/openapi.json"))
        #expect(head.fields[.contentLength] == get.fields[.contentLength])
        #expect(get.body.size > 0 && head.body.size == 0)
    }

    @Test(
        "methods follow from the list",
        arguments: [
            ("/api/blobs/uploads", ["POST", "OPTIONS"]), ("/api/blobs/uploads/u/status", ["GET", "HEAD", "OPTIONS"]),
            ("/api/blobs/d", ["GET", "HEAD", "OPTIONS"]), ("/api/files/f/destroy", ["POST", "OPTIONS"]),
        ])
    func allowedMethods(_ path: String, _ methods: [String]) async {
        let server = SampleServer()
        let list = methods.joined(separator: ", ")
        for method in [HTTPRequest.Method.put, .options] {
            let answer = await server.answer(to: server.request(method, path))
            #expect(answer.status == (method == .put ? .methodNotAllowed : .noContent))
            #expect(answer.fields[.allow] == list)
        }
    }

    @Test("only downloads pass bytes on on their connection's event loop")
    func executors() {
        let server = SampleServer()
        let loop = EmbeddedEventLoop()
        for (path, isOnLoop) in [
            ("/api/blobs/" + String(repeating: "0", count: 64), true), ("/api/blobs/uploads/u/status", false),
            ("/api/files", false), ("/ready", false),
        ] {
            let head = HTTPRequest(method: .get, scheme: nil, authority: nil, path: path)
            guard
                case .later(let executor, _) = server.chain.answer(
                    to: Request(head: head, body: RequestBody(length: 0) {}, eventLoop: loop))
            else {
                Issue.record("\(path) was answered at once")
                continue
            }
            #expect((executor != nil) == isOnLoop, "\(path)")
        }
    }

    @Test func nothingIsPublicThatDoesNotSaySo() async {
        for isPrivate in [false, true] {
            let server = SampleServer(privateDownloads: isPrivate)
            let open = server.surfaces.flatMap(\.endpoints).filter {
                if case .open = $0.handler { true } else { false }
            }
            let expected: Set = ["health", "ready", "metrics", "openapi"]
            #expect(Set(open.map(\.operation)) == expected.union(isPrivate ? [] : ["download"]))
        }
    }

    @Test("each endpoint is one operation of openapi.json, and each operation one endpoint")
    func descriptionAndListsAgree() throws {
        struct Description: Decodable {
            let paths: [String: [String: Operation]]
        }
        struct Operation: Decodable {
            let operationId: String
            let security: [[String: [String]]]?
        }
        let description = try JSONDecoder().decode(Description.self, from: Data(PackageResources.openapi_json))
        var described: [String: Bool] = [:]
        for (path, item) in description.paths {
            for (method, operation) in item {
                // RFC 9110 §9.1: whoever answers GET answers HEAD.
                if method == "head", item["get"] != nil { continue }
                described["\(method.uppercased()) \(path)"] = operation.security == []
            }
        }
        var listed: [String: Bool] = [:]
        for endpoint in SampleServer().surfaces.flatMap(\.endpoints) {
            let isOpen = if case .open = endpoint.handler { true } else { false }
            #expect(listed.updateValue(isOpen, forKey: "\(endpoint.method) \(endpoint.path.text)") == nil)
        }
        #expect(listed == described)
        let names = SampleServer().surfaces.flatMap(\.endpoints).map(\.operation)
        #expect(Set(names).count == names.count)
    }
}
