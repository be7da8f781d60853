// The origin of a web page, as browsers write it (RFC 6454 §6.2).

import BlobCore
import HTTPServerCore

/// A scheme, a host and a port, in lower case, and without the port that the scheme has anyway.
public struct WebOrigin: Equatable, Sendable {
    public let text: String

    /// Reads `SCHEME://HOST` or `SCHEME://HOST:PORT`.
    ///
    /// - Returns: `nil` for any other text, and where anything follows, if only a slash.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 1024, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        let text = text.lowercased()
        guard let separator = text.firstRange(of: "://"), Self.isScheme(text[..<separator.lowerBound]) else {
            return nil
        }
        let (scheme, authority) = (text[..<separator.lowerBound], text[separator.upperBound...])
        let end = authority.first == "[" ? authority.firstIndex(of: "]") : nil
        let colon = authority[(end ?? authority.startIndex)...].firstIndex(of: ":")
        guard let host = Self.host(authority[..<(colon ?? authority.endIndex)]) else { return nil }
        guard let colon else {
            self.text = "\(scheme)://\(host)"
            return
        }
        let digits = authority[authority.index(after: colon)...]
        guard digits.utf8.allSatisfy(\.isDigit), let port = UInt16(digits), port > 0 else { return nil }
        let isUsual = scheme == "https" && port == 443 || scheme == "http" && port == 80
        self.text = isUsual ? "\(scheme)://\(host)" : "\(scheme)://\(host):\(port)"
    }

    /// RFC 3986 §3.1.
    private static func isScheme(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, isLetter(first) else { return false }
        return text.utf8.allSatisfy { isLetter($0) || $0.isDigit || "+-.".utf8.contains($0) }
    }

    /// The host as browsers write it. A name with other letters than those of ASCII has to be given as they send it,
    /// beginning with `xn--`.
    private static func host(_ text: Substring) -> String? {
        if text.first == "[" {
            guard text.last == "]", let address = IPAddress(text.dropFirst().dropLast()) else { return nil }
            // IPv4 addresses are written without brackets.
            let shown = address.description
            return shown.contains(":") ? "[\(shown)]" : nil
        }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard
            labels.allSatisfy({ label in
                !label.isEmpty && label.utf8.allSatisfy { isLetter($0) || $0.isDigit || "-_".utf8.contains($0) }
            })
        else { return nil }
        // Nothing but an address ends with a number.
        guard let last = labels.last, last.utf8.allSatisfy(\.isDigit) else { return String(text) }
        return IPAddress(text)?.description == String(text) ? String(text) : nil
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
}
