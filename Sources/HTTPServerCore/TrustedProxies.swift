// Who the client is behind proxies, by what those say.

import BlobCore
import HTTPTypes

/// Whose word counts on where a request came from.
public struct TrustedProxies: Sendable {
    /// More proxies than stand in any row. What is beyond them is not read, so that a request costs little whatever is
    /// in it.
    private static let mostHops = 10

    private let networks: [IPNetwork]

    public init(_ networks: [IPNetwork]) {
        self.networks = networks
    }

    public static let none = TrustedProxies([])

    public func contains(_ address: IPAddress) -> Bool { networks.contains { $0.contains(address) } }

    /// The headers name two clients: a proxy sets one of them and passes on the other, which anybody can have written.
    struct Contradiction: Error {}

    /// The client of a request that a trusted proxy sent.
    ///
    /// Each proxy adds the address that it was reached from at the end: from there, the first that is no trusted
    /// proxy's is the client's. What stands before it anybody can have written.
    ///
    /// - Parameter proxy: the address of the connection.
    /// - Returns: the last trusted proxy that is named where what it was reached from is hidden or makes no sense.
    func client(of fields: HTTPFields, through proxy: IPAddress) throws(Contradiction) -> IPAddress {
        let byList = client(in: fields[values: .xForwardedFor], through: proxy, isStandard: false)
        let byStandard = client(in: fields[values: .forwarded], through: proxy, isStandard: true)
        guard let byList, let byStandard else { return byList ?? byStandard ?? proxy }
        guard byList == byStandard else { throw Contradiction() }
        return byList
    }

    /// - Parameter isStandard: whether the members are those of `Forwarded`.
    /// - Returns: `nil` without any value.
    private func client(in values: [String], through proxy: IPAddress, isStandard: Bool) -> IPAddress? {
        guard !values.isEmpty else { return nil }
        var (client, hops) = (proxy, 0)
        for value in values.reversed() {
            let bytes = value.utf8.span
            var end = bytes.count
            while hops < Self.mostHops {
                hops += 1
                guard let start = Self.start(ofMemberBefore: end, in: bytes),
                    let found = isStandard
                        ? Self.forwardedFor(bytes, bytes.trimmed(start..<end))
                        : Self.address(bytes, bytes.trimmed(start..<end))
                else { return client }
                client = found
                guard contains(client) else { return client }
                guard start > 0 else { break }
                end = start - 1
            }
        }
        return client
    }

    // MARK: Members

    /// In bytes. Longer than any that says something.
    private static let longestMember = 256

    /// Members are found from the right, whatever stands at the left: a quote that somebody opened there must not hide
    /// what a proxy added. No value of a proxy's own holds a comma that would make another of it.
    ///
    /// - Returns: `nil` for a member that is too long.
    private static func start(ofMemberBefore end: Int, in bytes: borrowing Span<UInt8>) -> Int? {
        var start = end
        while start > 0, bytes[start - 1] != UInt8(ascii: ",") {
            start -= 1
            guard end - start <= longestMember else { return nil }
        }
        return start
    }

    /// An address, perhaps with a port.
    private static func address(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> IPAddress? {
        let colon = UInt8(ascii: ":")
        if let first = range.first, bytes[first] == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]"), in: range),
                isPort(bytes, end + 1..<range.upperBound)
            else { return nil }
            return IPAddress(bytes.text(first + 1..<end))
        }
        guard let first = bytes.firstIndex(of: colon, in: range),
            bytes.firstIndex(of: colon, in: first + 1..<range.upperBound) == nil
        else { return IPAddress(bytes.text(range)) }
        return isPort(bytes, first..<range.upperBound) ? IPAddress(bytes.text(range.lowerBound..<first)) : nil
    }

    /// A port with its colon, or none.
    private static func isPort(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard let first = range.first else { return true }
        return bytes[first] == UInt8(ascii: ":") && (2...6).contains(range.count) && bytes.areDigits(range.dropFirst())
    }

    /// The `for` of an element of `Forwarded` (RFC 7239 §4), the whole of which has to be well formed.
    private static func forwardedFor(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> IPAddress? {
        var found: IPAddress?
        var position = range.lowerBound
        while position <= range.upperBound {
            let rest = position..<range.upperBound
            let end = bytes.firstIndex(of: UInt8(ascii: ";"), in: rest) ?? range.upperBound
            let pair = bytes.trimmed(position..<end)
            guard let equals = bytes.firstIndex(of: UInt8(ascii: "="), in: pair), equals > pair.lowerBound,
                isToken(bytes, pair.lowerBound..<equals), let value = unquoted(bytes, equals + 1..<pair.upperBound)
            else { return nil }
            if bytes.equals("for", pair.lowerBound..<equals) {
                guard found == nil, let address = address(bytes, value) else { return nil }
                found = address
            }
            position = end + 1
        }
        return found
    }

    /// What a token or a quoted string says (RFC 9110 §5.6). Nothing that is looked for has to be escaped.
    private static func unquoted(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Range<Int>? {
        let quote = UInt8(ascii: "\"")
        guard let first = range.first, bytes[first] == quote else { return isToken(bytes, range) ? range : nil }
        guard range.count >= 2, bytes[range.upperBound - 1] == quote else { return nil }
        let inner = range.lowerBound + 1..<range.upperBound - 1
        for index in inner where bytes[index] == quote || bytes[index] == UInt8(ascii: "\\") { return nil }
        return inner
    }

    private static func isToken(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where !bytes[index].isInToken { return false }
        return true
    }
}

extension HTTPField.Name {
    fileprivate static let xForwardedFor = named("X-Forwarded-For")
    fileprivate static let forwarded = named("Forwarded")

    private static func named(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is a field name") }
        return name
    }
}
