// `blob login` and `blob logout`: which servers there are, and the tokens for them.

import ArgumentParser
import BlobClient
import Foundation
import Program
import SystemPackage

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login",
        abstract: "Store a server and its token, so that other commands find them.",
        discussion: """
            Reads the token from standard input, without showing it where that is a terminal, or from the file that \
            --token-file names; tries it; and stores it in ~/.config/blob/servers.json for you alone. The first server \
            becomes the default; 'blob login --default NAME' makes another one that, without asking for its token.
            """
    )

    @Argument(
        help: ArgumentHelp("What to call the server; its host name, if not given.", valueName: "NAME"),
        completion: Completions.servers)
    var name: String?

    @Flag(
        name: .customLong("default"),
        help: "Make it the default. With the name of a stored server and nothing else, no token is asked for.")
    var becomesDefault = false

    @Flag(name: .customLong("list"), help: "Store nothing; list the servers that are stored. '*' marks the default.")
    var lists = false

    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        if let name, !Self.isName(name) {
            throw ValidationError("A name is 1 to 64 letters, digits, '.', '_' or '-'.")
        }
        if lists && (name != nil || becomesDefault || serverFlags.isAnyGiven) {
            throw ValidationError("--list goes without anything else.")
        }
    }

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789._-".unicodeScalars.contains($0))
            }
    }

    func run() async throws {
        let given = try serverFlags.given()
        if lists { return try Self.show(try given.stored()) }
        if let name, becomesDefault, !serverFlags.isAnyGiven, try given.stored().servers[name] != nil {
            return try Self.makeDefault(name, given)
        }
        let address = try Self.address(given, name: name)
        guard let host = URLComponents(string: address)?.host, ServerAddress.isAddress(address) else {
            throw UsageProblem(BlobClientError.invalidAddress(address).description)
        }
        let name = name ?? (Self.isName(host) ? host : "server")
        let ca =
            try given.ca.map { FilePath($0).absolute.string } ?? given.stored().servers[name]?.ca
        let trust: BlobServiceClient.Configuration.Trust =
            given.isInsecure ? .anything : ca.map { .certificates(path: $0) } ?? .system
        var choice = try given.choice(address, token: nil, trust: trust)
        choice.warnOfOpenWay()
        let token = try await token(given, for: host)
        choice.token = token
        let scopes = try await choice.withClient(.asking) { try await Self.trying($0) }

        // Read again: another login may have been made while the token was typed.
        let path = ServerList.path(given.environment)
        var list = try ServerList(readingFrom: path)
        list.servers[name] = ServerList.Server(address: address, token: token, ca: ca)
        if becomesDefault || list.defaultName == nil { list.defaultName = name }
        try list.write(to: path)
        let isDefault = list.defaultName == name ? ", the default" : ""
        Output.tell("\(scopes) Stored as '\(name)'\(isDefault), in \(path).")
    }

    private static func show(_ list: ServerList) throws {
        if list.servers.isEmpty { return Output.tell("No server is stored; 'blob login --server ADDRESS' stores one.") }
        let rows = list.servers.sorted { $0.key < $1.key }.map { name, server in
            [
                list.defaultName == name ? "*" : " ", name, DisplayText.safe(server.address),
                server.token == nil ? "no token" : "with a token",
            ]
        }
        try Output.write(alignedTable(rows) + "\n")
    }

    private static func makeDefault(_ name: String, _ given: GivenSettings) throws {
        var list = try given.stored()
        list.defaultName = name
        try list.write(to: ServerList.path(given.environment))
        Output.tell("'\(name)' is the default.")
    }

    /// `--server`; or that of the name, to give a server another token; or BLOB_SERVER.
    private static func address(_ given: GivenSettings, name: String?) throws -> String {
        let servers = try given.stored().servers
        let known = name.flatMap { servers[$0]?.address }
        if let server = given.server ?? known { return servers[server]?.address ?? server }
        if let server = try given.variable("BLOB_SERVER") { return server }
        let unknown = name.map { "no server is called '\($0)' yet: " } ?? "which server? "
        throw UsageProblem(unknown + "give --server ADDRESS")
    }

    private func token(_ given: GivenSettings, for host: String) async throws -> String {
        if let token = given.token { return token }
        let isTyped = Terminal.isTerminal(.standardInput)
        if isTyped {
            Console.complain("the token for \(host) (it is not shown):")
            Terminal.hideInput()
        }
        defer { Terminal.showInput() }
        return try GivenSettings.checked(
            try await StandardInput.line(limit: ServerFlags.byteLimit), from: "standard input")
    }

    /// - Returns: what to say about the token.
    /// - Throws: when the server does not know the token.
    private static func trying(_ client: BlobServiceClient) async throws -> String {
        var query = FileQuery()
        query.top = 1
        do {
            _ = try await client.files(query)
            return "The server knows the token."
        } catch BlobClientError.refused(let refusal) where refusal.status == 401 {
            throw Problem("the server does not know this token, or it has expired; nothing was stored")
        } catch BlobClientError.refused(let refusal) where refusal.status == 403 {
            return "The server knows the token, which may not list files."
        } catch BlobClientError.refused(let refusal) where refusal.status == 404 {
            // The reference API has no list, nor anything else that only asks.
            return "The server has no list of files, so the token could not be tried; see that the address is right."
        }
    }
}

struct LogoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout",
        abstract: "Forget a server and its token.",
        discussion: "The token stays valid; whoever runs the server can revoke it."
    )

    @Argument(
        help: ArgumentHelp("As 'blob login --list' tells it.", valueName: "NAME"), completion: Completions.servers)
    var name: String

    func run() async throws {
        let path = ServerList.path(ProcessInfo.processInfo.environment)
        var list = try ServerList(readingFrom: path)
        guard list.servers.removeValue(forKey: name) != nil else {
            let names = list.servers.keys.sorted().joined(separator: ", ")
            throw Problem("no server is called '\(name)'; \(names.isEmpty ? "none is stored" : "there are \(names)")")
        }
        if list.defaultName == name { list.defaultName = nil }
        try list.write(to: path)
        let others = list.servers.isEmpty || list.defaultName != nil ? "" : " There is no default server now."
        Output.tell("'\(name)' is forgotten.\(others)")
    }
}
