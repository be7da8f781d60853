// Issue 2, `blobd`: the token command.

import Foundation
import Testing

@Suite("The token command", .inTurn)
struct TokenCommandTests {
    @Test("create prints the token alone on standard output; it has effect at once in a running server")
    func create() async throws {
        let server = try await ServerProcess.shared
        let name = "n-\(UUID().uuidString.lowercased())"
        let made = try await server.command(["token", "create", name, "--data", server.data, "--scopes", "read"])
        #expect(made.end == .code(0))
        #expect(made.errors.isEmpty)
        let lines = made.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 2 && lines[1].isEmpty && !lines[0].contains(" "), "\(made.output)")
        let client = Client(server: server, bearer: String(lines[0]))
        #expect(try await client.send(.files()).status == 200)
        expect(try await client.send(.initiate()), is: .forbidden)
    }

    @Test("list shows names and scopes, never a token; revoke has effect at once, also on a connection that is open")
    func listAndRevoke() async throws {
        let server = try await ServerProcess.shared
        let name = "n-\(UUID().uuidString.lowercased())"
        let client = try await server.namedClient(name, "upload,read")
        let connection = try await server.connect()
        defer { connection.close() }
        #expect(try await client.send(.files(), on: connection).status == 200)

        let list = try await server.command(["token", "list", "--data", server.data])
        #expect(list.end == .code(0))
        let line = list.output.split(separator: "\n").first { $0.contains(name) }
        #expect(line?.contains("upload") == true && line?.contains("read") == true, "\(list.output)")
        let token = try #require(client.bearer)
        #expect(!list.output.contains(token))

        let revoked = try await server.command(["token", "revoke", name, "--data", server.data])
        #expect(revoked.end == .code(0), "\(revoked)")
        expect(try await client.send(.files(), on: connection), is: .unauthorized)
        let after = try await server.command(["token", "list", "--data", server.data])
        #expect(!after.output.contains(name))
    }

    @Test("a token that expires is valid until then")
    func expiresLater() async throws {
        let client = try await ServerProcess.shared.client("read", expires: "1h")
        #expect(try await client.send(.files()).status == 200)
    }

    @Test("an expired token is an invalid one")
    func expires() async throws {
        let client = try await ServerProcess.shared.client("read", expires: "2s")
        try await eventually("the token has expired") {
            let response = try await client.send(.files())
            if response.status != 200 { expect(response, is: .unauthorized) }
            return response.status == 200 ? nil : true
        }
    }

    @Test("a token lives on over a restart, and can be made while no server runs")
    func restart() async throws {
        try await withServer { server in
            let before = try await server.client("read")
            #expect(try await server.stop() == .code(0))
            let between = try await server.client("read")
            try await server.start()
            #expect(try await before.send(.files()).status == 200)
            #expect(try await between.send(.files()).status == 200)
        }
    }

    @Test(
        "nonsense: a message and an exit code, no token",
        arguments: [
            ["create", "a", "--scopes", "everything"], ["create", "a", "--scopes", ""],
            ["create", "a", "--expires", "soon"],
            ["create", "a", "--expires", "-1s"], ["create", ""], ["create", "a\nb"], ["revoke", "nobody"],
        ])
    func nonsense(_ arguments: [String]) async throws {
        let server = try await ServerProcess.shared
        let outcome = try await server.command(["token"] + arguments + ["--data", server.data])
        #expect(outcome.end == .code(64) || outcome.end == .code(1), "\(outcome)")
        #expect(outcome.output.isEmpty && !outcome.errors.isEmpty, "\(outcome)")
    }

    @Test("a second token for a subject reaches its files and uploads, also when the first is revoked")
    func rotation() async throws {
        let server = try await ServerProcess.shared
        let name = "n-\(UUID().uuidString.lowercased())"
        let old = try await server.namedClient(name, "upload,read,delete")
        let file = try await old.publish(Sample.bytes(10), filename: "a.txt")
        let upload = try await old.upload(holding: [1, 2, 3])
        let new = try await server.namedClient(name + "-2", subject: name, "upload,read,delete")

        let list = try await server.command(["token", "list", "--data", server.data])
        let line = list.output.split(separator: "\n").first { $0.contains(name + "-2") }
        #expect(line?.split(separator: " ").prefix(2) == ["\(name)-2", "\(name)"], "\(list.output)")
        #expect(try await old.send(.file(file.id)).status == 200)
        #expect(try await server.command(["token", "revoke", name, "--data", server.data]).end == .code(0))
        expect(try await old.send(.files()), is: .unauthorized)

        #expect(try await new.send(.files()).json?["subject"]?.string == name)
        #expect(try await new.send(.file(file.id)).json?["owner"]?.string == name)
        #expect(try await new.complete(upload).digest == Sample.digest(of: [1, 2, 3]))
        #expect(try await new.send(.destroyFile(file.id)).status == 204)
    }

    @Test("a name can be taken once")
    func duplicate() async throws {
        let server = try await ServerProcess.shared
        let name = "n-\(UUID().uuidString.lowercased())"
        let first = try await server.namedClient(name, "read")
        let again = try await server.command(["token", "create", name, "--data", server.data])
        #expect(again.end == .code(1) || again.end == .code(64), "\(again)")
        #expect(!again.errors.isEmpty && again.output.isEmpty, "\(again)")
        #expect(try await first.send(.files()).status == 200)
    }
}
