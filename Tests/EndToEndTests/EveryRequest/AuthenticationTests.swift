// Contract, common rules: `Authorization: Bearer TOKEN` on everything but the download, scopes, and default deny.

import Foundation
import Testing

/// One request for each private route, with names that exist nowhere.
enum PrivateRoutes {
    static let nowhere = Upload(id: "00000000-0000-4000-8000-000000000000", token: "0")
    static let file = Data("700551909773148160".utf8).base64EncodedString()

    static let uploading: [Request] = [
        .initiate(), .append(to: nowhere, [1]), .status(of: nowhere), .complete(nowhere),
    ]
    static let reading: [Request] = [.files(), .file(file)]
    static let all = uploading + [.destroy(nowhere), .destroyFile(file)] + reading
}

extension Request: CustomTestStringConvertible {
    var testDescription: String { "\(method) \(target)" }
}

@Suite("Authentication", .inTurn)
struct AuthenticationTests {
    @Test("no token: 401 with WWW-Authenticate: Bearer", arguments: PrivateRoutes.all)
    func missing(_ request: Request) async throws {
        let response = try await Client.shared.anonymous.send(request)
        expect(response, is: .unauthorized)
        #expect(response.headers["WWW-Authenticate"] == "Bearer")
    }

    @Test(
        "an invalid token: 401 with WWW-Authenticate: Bearer",
        arguments: [
            "", "Bearer", "Bearer ", "Bearer nonsense", "Bearer \(String(repeating: "a", count: 5000))",
            "Basic dXNlcjpwYXNzd29yZA==", "Bearer a b", "Bearer \u{e9}", "Digest username=\"a\"",
        ])
    func invalid(_ authorization: String) async throws {
        for request in [Request.initiate(), .files()] {
            let response = try await Client.shared.anonymous.send(request.with(["Authorization": authorization]))
            expect(response, is: .unauthorized)
            #expect(response.headers["WWW-Authenticate"] == "Bearer")
        }
    }

    @Test("almost the right token is an invalid one")
    func almost() async throws {
        let server = try await ServerProcess.shared
        let token = try server.adminToken()
        let other = token.hasSuffix("A") ? "B" : "A"
        for wrong in [String(token.dropLast()), token + "A", token.dropLast() + other, token.uppercased() + "x"] {
            let response = try await Client(server: server, bearer: wrong).send(.files())
            expect(response, is: .unauthorized)
        }
    }

    @Test("the right token in another scheme is none")
    func otherScheme() async throws {
        let server = try await ServerProcess.shared
        for authorization in ["Basic \(try server.adminToken())", try server.adminToken()] {
            let request = Request.files().with(["Authorization": authorization])
            expect(try await server.admin().anonymous.send(request), is: .unauthorized)
        }
    }

    @Test("the download needs none")
    func download() async throws {
        let client = try await Client.shared
        let bytes = try Sample.bytes(100)
        let published = try await client.publish(bytes)
        #expect(try await client.anonymous.send(.download(published.digest)).body == bytes)
        #expect(try await client.anonymous.send(.head(published.digest)).status == 200)
    }

    @Test("the download does not mind a wrong one", arguments: ["Bearer nonsense", "Basic dXNlcjpwYXNzd29yZA=="])
    func downloadWithWrongToken(_ authorization: String) async throws {
        let client = try await Client.shared
        let digest = try await client.publish(Sample.bytes(100)).digest
        let response = try await client.anonymous.send(.download(digest, ["Authorization": authorization]))
        #expect(response.status == 200)
    }

    @Test("what is not on the API needs none", arguments: ["/health", "/ready", "/metrics", "/openapi.json"])
    func notOnTheAPI(_ path: String) async throws {
        #expect(try await Client.shared.anonymous.send(.get(path)).status == 200)
    }

    @Test("default deny: every operation of openapi.json but the public ones asks for a token")
    func defaultDeny() async throws {
        let client = try await Client.shared.anonymous
        let notOnTheAPI = ["/health", "/ready", "/metrics", "/openapi.json"]
        var asked = 0
        for (template, item) in try await OpenAPIDocument.ofSharedServer.paths {
            let isDownload = template.wholeMatch(of: /\/api\/blobs\/\{[^\/]*\}/) != nil
            if isDownload || notOnTheAPI.contains(template) { continue }
            let target = template.replacing(/\{[^}]*\}/, with: PrivateRoutes.nowhere.id)
            for method in ["get", "head", "post", "put", "patch", "delete"] where item[method] != nil {
                let response = try await client.send(Request(method: method.uppercased(), target: target))
                #expect(response.status == 401, "\(method) \(template)")
                asked += 1
            }
        }
        #expect(asked >= 8, "the private operations must be in openapi.json")
    }
}

@Suite("Scopes", .inTurn)
struct ScopeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let scopes: String
        let lacking: String
        let requests: [Request]
        var testDescription: String { "\(scopes) lacks \(lacking)" }
    }

    static let rows = [
        Row(scopes: "read,delete", lacking: "upload", requests: PrivateRoutes.uploading),
        Row(scopes: "read", lacking: "upload", requests: [.destroy(PrivateRoutes.nowhere)]),
        Row(scopes: "upload,delete", lacking: "read", requests: PrivateRoutes.reading),
        Row(scopes: "upload,read", lacking: "delete", requests: [.destroyFile(PrivateRoutes.file)]),
    ]

    @Test("a valid token that lacks the scope: 403 FORBIDDEN that names it", arguments: rows)
    func lacking(_ row: Row) async throws {
        let client = try await Client.newSubject(row.scopes)
        for request in row.requests {
            expect(try await client.send(request), is: .forbidden, naming: row.lacking)
        }
    }

    @Test("upload alone suffices for an upload's whole life")
    func uploadScope() async throws {
        let client = try await Client.newSubject("upload")
        let upload = try await client.upload(holding: Sample.bytes(10))
        #expect(try await client.offset(of: upload) == 10)
        _ = try await client.complete(upload)
        #expect(try await client.send(.destroy(client.initiate())).status == 204)
    }

    @Test("read alone suffices to list, delete alone to destroy")
    func readAndDeleteScopes() async throws {
        let reader = try await Client.newSubject("read")
        #expect(try await reader.send(.files()).status == 200)
        expect(try await reader.send(.file(PrivateRoutes.file)), is: .fileUnknown)
        let deleter = try await Client.newSubject("delete")
        expect(try await deleter.send(.destroyFile(PrivateRoutes.file)), is: .fileUnknown)
    }
}
