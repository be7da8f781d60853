// Which server is asked, with which token: flags, then the environment, then what 'blob login' has stored.

import ArgumentParser
import BlobClient
import Foundation
import Program
import SystemPackage

/// What was given to a command, from all three places.
struct GivenSettings {
    var server: String?
    /// What the file that `--token-file` names holds.
    var token: String?
    var ca: String?
    var isInsecure = false
    var environment: [String: String] = [:]
    var stored = ServerList()

    /// A variable that is empty counts as one that is not there.
    private func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// The server that the command is about.
    func choice() throws -> ServerChoice {
        if let server { return try choice(named: server, by: "--server") }
        if let server = variable("BLOB_SERVER") { return try choice(named: server, by: "BLOB_SERVER") }
        if let name = stored.defaultName, let server = stored.servers[name] {
            return try choice(address: server.address, stored: server)
        }
        throw UsageProblem(
            "which server? Give --server ADDRESS or BLOB_SERVER, or store one with 'blob login --server ADDRESS'")
    }

    private func choice(named text: String, by source: String) throws -> ServerChoice {
        if let server = stored.servers[text] { return try choice(address: server.address, stored: server) }
        guard ServerAddress.isAddress(text) else {
            let names = stored.servers.keys.sorted().joined(separator: ", ")
            let known = names.isEmpty ? "none is stored" : "there are \(names)"
            throw UsageProblem("\(source): '\(text)' is neither an address such as https://HOST nor a name; \(known)")
        }
        return try choice(address: text, stored: stored.server(at: text)?.server)
    }

    private func choice(address: String, stored: ServerList.Server?) throws -> ServerChoice {
        let token = try token ?? variable("BLOB_TOKEN").map { try Self.checked($0, from: "BLOB_TOKEN") }
        return ServerChoice(address: address, token: token ?? stored?.token, trust: trust(stored))
    }

    private func trust(_ stored: ServerList.Server?) -> ClientConfiguration.Trust {
        if isInsecure { return .anything }
        return (ca ?? stored?.ca).map { .certificates(path: $0) } ?? .system
    }

    /// The server at an address that the journal holds. What was given for another server is not sent there.
    func choice(at address: String) -> ServerChoice {
        if let chosen = try? choice(), ServerAddress.normalized(chosen.address) == ServerAddress.normalized(address) {
            return chosen
        }
        let known = stored.server(at: address)?.server
        return ServerChoice(address: address, token: known?.token, trust: trust(known))
    }

    /// A token without the white space around it.
    ///
    /// - Throws: ``UsageProblem``, which does not show it, when it cannot be one: RFC 6750, §2.1.
    static func checked(_ text: String, from source: String) throws -> String {
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty else { throw UsageProblem("\(source): there is no token") }
        guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw UsageProblem("\(source): a token has no spaces and no characters beyond ASCII")
        }
        return token
    }
}

/// A server, and how to speak to it.
struct ServerChoice: Equatable {
    var address: String
    var token: String?
    var trust: ClientConfiguration.Trust

    /// How often what fails is tried again.
    enum Patience {
        /// A person waits for one answer.
        case short
        /// A transfer goes on by itself.
        case long
    }

    /// Runs `body` with the server, and closes its connections.
    func withServer<Value: Sendable>(
        patience: Patience, connections: Int = 4, _ body: @Sendable (BlobServer) async throws -> Value
    ) async throws -> Value {
        var configuration = ClientConfiguration()
        configuration.trust = trust
        configuration.connectionLimit = max(configuration.connectionLimit, connections)
        if patience == .short { configuration.retries.triesWithoutProgress = 3 }
        let server = try BlobServer(address, token: token, configuration: configuration)
        do {
            let value = try await body(server)
            await server.shutdown()
            return value
        } catch {
            await server.shutdown()
            throw error
        }
    }
}

/// The flags of all commands that speak to a server.
struct ServerFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The server: its address, or a name that 'blob login' has stored.", valueName: "NAME_OR_ADDRESS"),
        completion: Completions.servers)
    var server: String?

    @Option(
        help: ArgumentHelp(
            "A file that holds the token. Without it: BLOB_TOKEN, or the stored one.", valueName: "FILE"),
        completion: .file())
    var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            "Trust servers whose certificates those in this PEM file have signed, and no others.", valueName: "FILE"),
        completion: .file())
    var ca: String?

    @Flag(help: "Trust every certificate: whoever is between can read and change everything. For trying out only.")
    var insecure = false

    var isAnyGiven: Bool { server != nil || tokenFile != nil || ca != nil || insecure }

    static let byteLimit = 16 << 10

    /// - Throws: ``UsageProblem`` for files that cannot be used.
    func given() throws -> GivenSettings {
        let environment = ProcessInfo.processInfo.environment
        if insecure {
            Console.complain("WARNING: --insecure: whoever is between can read and change everything, the token too")
        }
        return GivenSettings(
            server: server, token: try tokenFile.map(Self.token), ca: ca, isInsecure: insecure,
            environment: environment, stored: try ServerList(readingFrom: ServerList.path(environment)))
    }

    private static func token(in path: String) throws -> String {
        do {
            guard let bytes = try readFile(at: FilePath(path), limit: byteLimit) else {
                throw UsageProblem("--token-file: there is no \(path)")
            }
            return try GivenSettings.checked(String(decoding: bytes, as: UTF8.self), from: "--token-file")
        } catch let error as Errno {
            throw UsageProblem("--token-file: \(path) cannot be read: \(error)")
        }
    }
}
