// Which server is asked, with which token: flags, then the environment, then the servers that 'blob login' has stored.

import ArgumentParser
import BlobClient
import BlobCore
import Foundation
import Program
import Synchronization
import SystemPackage

/// The settings given to a command, from all three places. A setting that is given is used or is an error; a file that
/// is not needed is not read.
struct GivenSettings: Sendable {
    var server: String?
    /// The contents of the file that `--token-file` names.
    var token: String?
    var ca: String?
    var isInsecure = false
    /// `--proxy`.
    var proxy: String?
    var environment: [String: String] = [:]
    /// Reads the servers that 'blob login' has stored.
    var stored: @Sendable () throws -> ServerList = { ServerList() }

    /// A variable of the environment.
    ///
    /// - Throws: ``UsageProblem`` for an empty one, which would let another server or token be used unseen.
    func variable(_ name: String) throws -> String? {
        guard let value = environment[name] else { return nil }
        guard !value.isEmpty else { throw UsageProblem("\(name) is set, and empty: give it a value, or unset it") }
        return value
    }

    /// The server that the command is about.
    func choice() throws -> ServerChoice {
        guard let address = try chosenAddress() else {
            throw UsageProblem(
                "which server? Give --server ADDRESS or BLOB_SERVER, or store one with 'blob login --server ADDRESS'")
        }
        return try choice(address)
    }

    /// The server at an address that the journal holds. Tokens that were given for another server are not sent there.
    func choice(at address: String) throws -> ServerChoice {
        if let chosen = try chosenAddress(), ServerAddress.normalized(chosen) == ServerAddress.normalized(address) {
            return try choice(chosen)
        }
        let known = try stored().server(at: address)?.server
        return try choice(address, token: known?.token, trust: trust { known })
    }

    /// `nil` when no server was named and none is the default.
    private func chosenAddress() throws -> String? {
        if let server { return try address(of: server, by: "--server") }
        if let server = try variable("BLOB_SERVER") { return try address(of: server, by: "BLOB_SERVER") }
        let list = try stored()
        return list.defaultName.flatMap { list.servers[$0]?.address }
    }

    private func address(of text: String, by source: String) throws -> String {
        if ServerAddress.isAddress(text) { return text }
        let servers = try stored().servers
        if let server = servers[text] { return server.address }
        let names = servers.keys.sorted().joined(separator: ", ")
        let known = names.isEmpty ? "none is stored" : "there are \(names)"
        let shown = text.withoutCredentials
        throw UsageProblem("\(source): '\(shown)' is neither an address such as https://HOST nor a name; \(known)")
    }

    private func choice(_ address: String) throws -> ServerChoice {
        if let token = try token ?? variable("BLOB_TOKEN").map({ try Self.checked($0, from: "BLOB_TOKEN") }) {
            return try choice(address, token: token, trust: trust { knownServer(at: address) })
        }
        let known = try storedServer(at: address)
        return try choice(address, token: known?.token, trust: trust { known })
    }

    /// A server of which everything is known, by the way that was asked for.
    func choice(
        _ address: String, token: String?, trust: BlobServiceClient.Configuration.Trust
    ) throws(UsageProblem) -> ServerChoice {
        let proxy = try ProxyChoice(flag: proxy, environment: environment).proxy(for: address)
        return ServerChoice(address: address, token: token, trust: trust, proxy: proxy)
    }

    /// The one of that name, if a name was given: several may have the same address.
    private func storedServer(at address: String) throws -> ServerList.Server? {
        let list = try stored()
        let name = try server ?? variable("BLOB_SERVER") ?? list.defaultName
        return name.flatMap { list.servers[$0] } ?? list.server(at: address)?.server
    }

    /// Only for the certificates that were stored with a server whose address and token were given.
    private func knownServer(at address: String) -> ServerList.Server? {
        guard !address.lowercased().hasPrefix("http:") else { return nil }
        do {
            return try storedServer(at: address)
        } catch {
            Console.complain("warning: \(error); the system's certificates are believed")
            return nil
        }
    }

    private func trust(_ known: () throws -> ServerList.Server?) throws -> BlobServiceClient.Configuration.Trust {
        if isInsecure { return .anything }
        return try (ca ?? known()?.ca).map { .certificates(path: $0) } ?? .system
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
    var trust: BlobServiceClient.Configuration.Trust
    var proxy: BlobServiceClient.Configuration.Proxy?

    /// The addresses of which was said that tokens are open on the way there.
    private static let told = Mutex<Set<String>>([])

    /// Says, once in a run for each server, that others may read a token on its way.
    func warnOfOpenWay() {
        guard ServerAddress.isOpen(address, through: proxy) else { return }
        guard Self.told.withLock({ $0.insert(ServerAddress.normalized(address)).inserted }) else { return }
        Console.complain("warning: without https, the token can be read by everybody on the way to \(address)")
    }

    /// Runs `body` with the server, and closes its connections.
    ///
    /// - Throws: ``UsageProblem`` for an address or certificates that cannot be used, and what `body` throws.
    func withClient<Value: Sendable>(
        _ configuration: BlobServiceClient.Configuration, _ body: @Sendable (BlobServiceClient) async throws -> Value
    ) async throws -> Value {
        if token != nil { warnOfOpenWay() }
        var configuration = configuration
        (configuration.trust, configuration.proxy) = (trust, proxy)
        let client: BlobServiceClient
        do {
            client = try BlobServiceClient(address, token: token, configuration: configuration)
        } catch {
            throw UsageProblem(error.description)
        }
        do {
            let value = try await body(client)
            await client.shutdown()
            return value
        } catch {
            await client.shutdown()
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

    @Option(
        help: ArgumentHelp(
            """
            Go through this proxy, http://HOST:PORT, or through none: 'none'. Without it, as the variables \
            https_proxy, http_proxy, all_proxy and no_proxy say.
            """, valueName: "URL"))
    var proxy: String?

    var isAnyGiven: Bool { server != nil || tokenFile != nil || ca != nil || insecure }

    static let byteLimit = 16 << 10

    func validate() throws {
        if ca != nil && insecure { throw ValidationError("--ca and --insecure exclude each other.") }
    }

    /// - Throws: ``UsageProblem`` for files that cannot be used.
    func given() throws -> GivenSettings {
        let environment = ProcessInfo.processInfo.environment
        if insecure {
            Console.complain("WARNING: --insecure: whoever is between can read and change everything, the token too")
        }
        return GivenSettings(
            server: server, token: try tokenFile.map(Self.token), ca: ca, isInsecure: insecure, proxy: proxy,
            environment: environment, stored: { try ServerList(readingFrom: ServerList.path(environment)) })
    }

    private static func token(in path: String) throws -> String {
        do {
            guard let bytes = try readFile(at: FilePath(path), limit: byteLimit, protection: nil) else {
                throw UsageProblem("--token-file: there is no \(path)")
            }
            if let objection = Protection.readByGroup.objection(to: FilePath(path)) {
                Console.complain("warning: --token-file: \(objection)")
            }
            return try GivenSettings.checked(String(decoding: bytes, as: UTF8.self), from: "--token-file")
        } catch let error as SmallFileError {
            throw UsageProblem("--token-file: \(path) cannot be read: \(error)")
        }
    }
}
