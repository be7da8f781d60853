// The address to listen on.

import NIOCore

/// A host and a port, written `HOST:PORT`, with an IPv6 address in brackets.
struct ListenAddress: Equatable, SettingValue {
    /// A host name, or an IP address without brackets.
    let host: String
    /// 0 asks for any free port.
    let port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(settingText: String) {
        guard let colon = settingText.lastIndex(of: ":") else { return nil }
        let digits = settingText[settingText.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
            let port = UInt16(digits)
        else { return nil }

        let host = settingText[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            let address = String(host.dropFirst().dropLast())
            guard case .v6 = try? SocketAddress(ipAddress: address, port: 0) else { return nil }
            self.init(host: address, port: Int(port))
        } else {
            guard Self.isIPv4Address(host) || Self.isHostName(host) else { return nil }
            self.init(host: String(host), port: Int(port))
        }
    }

    private static func isIPv4Address(_ host: Substring) -> Bool {
        guard case .v4 = try? SocketAddress(ipAddress: String(host), port: 0) else { return false }
        return true
    }

    /// Labels of letters, digits and hyphens; the last one is no number, so that `10.0.0.300` is no name.
    private static func isHostName(_ host: Substring) -> Bool {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard let last = labels.last, !last.allSatisfy(\.isNumber), host.utf8.count <= 253 else { return false }
        return labels.allSatisfy { !$0.isEmpty && $0.utf8.count <= 63 && $0.isPlain(with: "-") }
    }

    /// Whether only this machine can reach the address. A name other than `localhost` may mean any address, so it is
    /// not.
    var isLoopback: Bool {
        switch try? SocketAddress(ipAddress: host, port: 0) {
        case .v4: host.hasPrefix("127.")
        case .v6: host == "::1" || host == "0:0:0:0:0:0:0:1"
        default: host == "localhost"
        }
    }

    /// The address for a URL that reaches a server listening here: the wildcard addresses become loopback ones.
    var reachable: ListenAddress {
        switch host {
        case "0.0.0.0": ListenAddress(host: "127.0.0.1", port: port)
        case "::": ListenAddress(host: "::1", port: port)
        default: self
        }
    }

    static var placeholder: String { "HOST:PORT" }
    static var form: String { "HOST:PORT, such as 127.0.0.1:8887, [::1]:8887 or 0.0.0.0:8887" }
}

extension ListenAddress: CustomStringConvertible {
    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
