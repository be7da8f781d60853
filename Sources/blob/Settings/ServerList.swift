// The servers that `blob login` has stored.

import BlobClient
import Foundation
import Glibc
import Program
import SystemPackage

/// The contents of the file of servers. It holds tokens: only its owner may read it.
struct ServerList: Codable, Equatable {
    struct Server: Codable, Equatable {
        var address: String
        var token: String?
        /// The absolute path of the certificates that are trusted.
        var ca: String?
    }

    var servers: [String: Server] = [:]
    /// The name of the one that is meant when none is named.
    var defaultName: String?

    private enum CodingKeys: String, CodingKey {
        case servers
        case defaultName = "default"
    }

    private static let byteLimit = 1 << 20

    /// The name and the server at this address; the default if it has several names.
    func server(at address: String) -> (name: String, server: Server)? {
        let wanted = ServerAddress.normalized(address)
        let found = servers.filter { ServerAddress.normalized($0.value.address) == wanted }
        let first = found.first { $0.key == defaultName } ?? found.min { $0.key < $1.key }
        return first.map { ($0.key, $0.value) }
    }

    // MARK: The file

    /// `$XDG_CONFIG_HOME/blob/servers.json`, and below `$HOME/.config` without that.
    static func path(_ environment: [String: String]) -> FilePath {
        FilePath(UserFolder.configuration.path(environment)).appending("blob/servers.json")
    }

    /// - Returns: an empty list when there is no file.
    init(readingFrom path: FilePath) throws {
        let bytes: [UInt8]?
        do {
            bytes = try readFile(at: path, limit: Self.byteLimit, protection: .readByOwner)
        } catch .untrusted(let objection) {
            throw UsageProblem(objection)
        } catch {
            throw UsageProblem("\(path) cannot be read: \(error)")
        }
        guard let bytes else {
            self.init()
            return
        }
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(bytes))
        } catch {
            throw UsageProblem("\(path) is not a file that 'blob login' wrote; mend it, or remove it and log in again")
        }
    }

    init() {}

    /// Puts the list in the place of the one that was there, for its owner alone.
    func write(to path: FilePath) throws {
        let folder = path.removingLastComponent().string
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Problem("\(folder) cannot be made: \(error.localizedDescription)")
        }
        _ = chmod(folder, 0o700)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            let bytes = Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
            try replaceFile(at: path, with: bytes, permissions: .ownerReadWrite)
        } catch {
            throw Problem("\(path) cannot be written: \(error)")
        }
    }
}

enum ServerAddress {
    /// An address in the one form in which two are compared: RFC 3986, §6.2.2.1 and §6.2.3.
    static func normalized(_ address: String) -> String {
        guard var parts = URLComponents(string: address) else { return address }
        parts.scheme = parts.scheme?.lowercased()
        parts.host = parts.host?.lowercased()
        if (parts.scheme, parts.port) == ("http", 80) || (parts.scheme, parts.port) == ("https", 443) {
            parts.port = nil
        }
        while parts.path.hasSuffix("/") { parts.path.removeLast() }
        return parts.string ?? address
    }

    static func isAddress(_ text: String) -> Bool { text.contains("://") }

    /// Whether requests can be read on their way there: they leave this machine as they are.
    ///
    /// - Parameter proxy: to which they go first.
    static func isOpen(_ address: String, through proxy: BlobServiceClient.Configuration.Proxy? = nil) -> Bool {
        guard let parts = URLComponents(string: address), parts.scheme?.lowercased() == "http" else { return false }
        return !isOfThisMachine(proxy?.host ?? parts.host ?? "")
    }

    /// RFC 1122, §3.2.1.3; RFC 4291, §2.5.3; RFC 6761, §6.3.
    private static func isOfThisMachine(_ host: String) -> Bool {
        let name = host.lowercased().trimmingCharacters(in: ["[", "]"])
        if name == "localhost" || name.hasSuffix(".localhost") { return true }
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, name, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        guard inet_pton(AF_INET6, name, &six) == 1 else { return false }
        return withUnsafeBytes(of: six) { bytes in
            bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
                || bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF && bytes[12] == 127
        }
    }
}
