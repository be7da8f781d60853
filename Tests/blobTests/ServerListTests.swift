// Where servers and tokens come from.

import BlobClient
import Foundation
import Synchronization
import SystemPackage
import Testing

@testable import blob

struct ServerListTests {
    private static let work = ServerList.Server(address: "https://work.example", token: "w", ca: "/ca.pem")
    private static let home = ServerList.Server(address: "http://127.0.0.1:8887", token: "h")

    private static var both: ServerList {
        var list = ServerList()
        (list.servers, list.defaultName) = (["work": work, "home": home], "home")
        return list
    }

    @Test(arguments: [
        (["HOME": "/h"], "/h/.config/blob/servers.json"),
        (["HOME": "/h", "XDG_CONFIG_HOME": "/x"], "/x/blob/servers.json"),
        (["HOME": "/h", "XDG_CONFIG_HOME": "relative"], "/h/.config/blob/servers.json"),
        (["HOME": "/h", "XDG_CONFIG_HOME": ""], "/h/.config/blob/servers.json"),
        (["HOME": "h"], NSHomeDirectory() + "/.config/blob/servers.json"),
        ([:], NSHomeDirectory() + "/.config/blob/servers.json"),
    ])
    func place(environment: [String: String], path: String) {
        #expect(ServerList.path(environment) == FilePath(path))
    }

    @Test func writingAndReading() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "blob-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = FilePath(folder).appending("blob/servers.json")
        #expect(try ServerList(readingFrom: path) == ServerList())
        try Self.both.write(to: path)
        #expect(try ServerList(readingFrom: path) == Self.both)
        let modes = try [path, path.removingLastComponent()].map {
            try FileManager.default.attributesOfItem(atPath: $0.string)[.posixPermissions] as? Int
        }
        #expect(modes == [0o600, 0o700])
        try Data("{".utf8).write(to: URL(fileURLWithPath: path.string))
        #expect(throws: UsageProblem.self) { try ServerList(readingFrom: path) }
    }

    @Test(arguments: [
        ("https://Files.Example/", "https://files.example"), ("HTTPS://a:443", "https://a"),
        ("http://a:80/x/", "http://a/x"),
        ("http://a:443", "http://a:443"), ("http://a:8887//", "http://a:8887"),
    ])
    func normalizing(address: String, normalized: String) {
        #expect(ServerAddress.normalized(address) == normalized)
    }

    @Test(
        arguments: [
            ("http://files.example", nil, true), ("HTTP://10.0.0.1:8887", nil, true),
            ("http://[2001:db8::1]", nil, true),
            ("http://128.0.0.1", nil, true), ("http://127.0.0.1.example", nil, true),
            ("https://files.example", nil, false),
            ("http://127.0.0.1:8887", nil, false), ("http://127.1.2.3", nil, false), ("http://LOCALHOST", nil, false),
            ("http://blob.localhost:1", nil, false), ("http://[::1]:1", nil, false),
            ("http://[::ffff:127.0.0.1]", nil, false),
            ("http://[::2]", nil, true), ("http://127.0.0.1", "proxy.example", true),
            ("http://files.example", "127.0.0.1", false),
        ] as [(String, String?, Bool)])
    func openWays(address: String, proxy: String?, isOpen: Bool) {
        let proxy = proxy.map { BlobServiceClient.Configuration.Proxy(host: $0, port: 3128) }
        #expect(ServerAddress.isOpen(address, through: proxy) == isOpen)
    }

    struct Choosing {
        var flag: String?
        var environment: [String: String] = [:]
        var token: String?
        /// The address, and the token with it.
        var chosen: [String?]
    }

    @Test(arguments: [
        Choosing(chosen: ["http://127.0.0.1:8887", "h"]),
        Choosing(environment: ["BLOB_SERVER": "work"], chosen: ["https://work.example", "w"]),
        Choosing(flag: "home", environment: ["BLOB_SERVER": "work"], chosen: ["http://127.0.0.1:8887", "h"]),
        Choosing(flag: "https://WORK.example/", chosen: ["https://WORK.example/", "w"]),
        Choosing(flag: "https://other.example", chosen: ["https://other.example", nil]),
        Choosing(flag: "work", environment: ["BLOB_TOKEN": "e"], chosen: ["https://work.example", "e"]),
        Choosing(flag: "work", environment: ["BLOB_TOKEN": ""], token: "f", chosen: ["https://work.example", "f"]),
        Choosing(flag: "home", environment: ["BLOB_SERVER": ""], chosen: ["http://127.0.0.1:8887", "h"]),
        Choosing(environment: ["BLOB_TOKEN": "e"], token: "f", chosen: ["http://127.0.0.1:8887", "f"]),
    ])
    func precedence(_ given: Choosing) throws {
        let settings = GivenSettings(
            server: given.flag, token: given.token, environment: given.environment, stored: { Self.both })
        let choice = try settings.choice()
        #expect([choice.address, choice.token] == given.chosen)
    }

    @Test(arguments: [nil, "elsewhere", "work.example"])
    func noServer(flag: String?) {
        var list = Self.both
        list.defaultName = nil
        #expect(throws: UsageProblem.self) { try GivenSettings(server: flag, stored: { [list] in list }).choice() }
    }

    private struct Unreadable: Error {}

    /// A list that is not needed is not read, and one that is needed is not replaced by something else.
    @Test(arguments: [
        (flag: "http://127.0.0.1:1", environment: [:], token: "t" as String?, isRead: false),
        ("http://127.0.0.1:1", ["BLOB_TOKEN": "t"], nil, false), ("https://other.example", [:], "t", true),
        (nil, ["BLOB_SERVER": "https://other.example", "BLOB_TOKEN": "t"], nil, true),
    ])
    func unreadableList(flag: String?, environment: [String: String], token: String?, isRead: Bool) throws {
        let hasRead = Mutex(false)
        let settings = GivenSettings(server: flag, token: token, environment: environment) {
            hasRead.withLock { $0 = true }
            throw Unreadable()
        }
        #expect(try settings.choice().token == "t" && settings.choice().trust == .system)
        #expect(try settings.choice(at: settings.choice().address).token == "t")
        #expect(hasRead.withLock { $0 } == isRead)
    }

    @Test(arguments: [
        (flag: "work" as String?, environment: ["BLOB_TOKEN": ""]), (nil, ["BLOB_SERVER": ""]),
        ("work", ["BLOB_TOKEN": "two words"]), ("unknown", ["BLOB_TOKEN": "t"]),
    ])
    func malformed(flag: String?, environment: [String: String]) {
        let settings = GivenSettings(server: flag, environment: environment, stored: { Self.both })
        #expect(throws: UsageProblem.self) { try settings.choice() }
        #expect(throws: UsageProblem.self) { try settings.choice(at: "https://work.example") }
    }

    @Test func neededAndUnreadable() {
        for flag in [nil, "work", "http://127.0.0.1:1"] {
            let settings = GivenSettings(server: flag, stored: { throw Unreadable() })
            #expect(throws: Unreadable.self) { try settings.choice() }
        }
    }

    /// A token that was given for one server does not go to another that the journal knows.
    @Test func journal() throws {
        let settings = GivenSettings(
            environment: ["BLOB_SERVER": "https://given.example", "BLOB_TOKEN": "given"], stored: { Self.both })
        let tokens = try ["https://given.example", "https://work.example", "https://unknown.example"].map {
            try settings.choice(at: $0).token
        }
        #expect(tokens == ["given", "w", nil])
        #expect(try settings.choice(at: "https://work.example").trust == .certificates(path: "/ca.pem"))
    }

    @Test func trust() throws {
        let stored = try GivenSettings(server: "work", stored: { Self.both }).choice()
        let flag = try GivenSettings(server: "work", ca: "/other.pem", stored: { Self.both }).choice()
        let insecure = try GivenSettings(server: "work", isInsecure: true, stored: { Self.both }).choice()
        let trusts = [stored, flag, insecure].map(\.trust)
        #expect(trusts == [.certificates(path: "/ca.pem"), .certificates(path: "/other.pem"), .anything])
    }

    @Test(arguments: [("abc\n", "abc"), ("  x-Y_z=  ", "x-Y_z="), ("", nil), ("a b", nil), ("é", nil), ("a\u{1}", nil)])
    func tokens(text: String, token: String?) {
        #expect((try? GivenSettings.checked(text, from: "BLOB_TOKEN")) == token)
    }
}
