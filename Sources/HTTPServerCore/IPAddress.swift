// IP addresses and networks, as limits and lists of proxies compare them.

import BlobCore
import Glibc
public import NIOCore

/// An address of IPv4 or IPv6. One of IPv4 is the same as that which is mapped into IPv6 (RFC 4291 §2.5.5.2).
public struct IPAddress: Hashable, Sendable {
    /// Those of IPv4 as they are mapped into IPv6.
    fileprivate let bits: UInt128

    fileprivate init(bits: UInt128) {
        self.bits = bits
    }

    /// - Parameter bytes: in the order of the network.
    private init(ipv4 bytes: some Sequence<UInt8>) {
        bits = 0xffff << 32 | Self.number(bytes)
    }

    private init(ipv6 bytes: some Sequence<UInt8>) {
        bits = Self.number(bytes)
    }

    /// 4 or 16 bytes in the order of the network; `nil` for any other number.
    init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self.init(ipv4: bytes)
        case 16: self.init(ipv6: bytes)
        default: return nil
        }
    }

    /// `nil` for a socket of the file system.
    public init?(_ address: SocketAddress) {
        switch address {
        // Behind the family and the port (ip(7)); behind the flow, too (ipv6(7)).
        case .v4(let address): self = withUnsafeBytes(of: address.address) { IPAddress(ipv4: $0[4..<8]) }
        case .v6(let address): self = withUnsafeBytes(of: address.address) { IPAddress(ipv6: $0[8..<24]) }
        case .unixDomainSocket: return nil
        }
    }

    /// Reads an address as RFC 4291 §2.2 and dotted decimals write it, without brackets, zone or port.
    public init?(_ text: some StringProtocol) {
        // The longest has 45 characters.
        guard (2...45).contains(text.utf8.count), !text.utf8.contains(0) else { return nil }
        let isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
        let bytes = withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { bytes in
            let result = String(text).withCString { inet_pton(isIPv6 ? AF_INET6 : AF_INET, $0, bytes.baseAddress) }
            return result == 1 ? bytes.prefix(isIPv6 ? 16 : 4).map(\.self) : []
        }
        self.init(bytes: bytes)
    }

    private static func number(_ bytes: some Sequence<UInt8>) -> UInt128 {
        bytes.reduce(0) { ($0 << 8) | UInt128($1) }
    }

    var isIPv4: Bool { bits >> 32 == 0xffff }

    /// What one client is taken for: in IPv6 whoever has an address has 2^64 of them (RFC 6177).
    public var network: IPAddress { isIPv4 ? self : IPAddress(bits: (bits >> 64) << 64) }
}

extension IPAddress: CustomStringConvertible {
    public var description: String {
        let bytes = stride(from: isIPv4 ? 24 : 120, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> $0) }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
            guard let start = text.baseAddress else { return "" }
            let found = inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, start, socklen_t(text.count))
            return found.map { String(cString: $0) } ?? ""
        }
    }
}

/// All addresses that begin with the same bits (RFC 4632 §3.1).
public struct IPNetwork: Equatable, Sendable {
    private let first: IPAddress
    /// Set where a bit belongs to the network's own.
    private let mask: UInt128

    /// Reads `ADDRESS/BITS`, or an address alone, which is a network of one.
    ///
    /// - Returns: `nil` for any other text, and where bits are set behind the network's own: one of both is wrong.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress($0) }) else { return nil }
        let width = address.isIPv4 && !text.utf8.contains(UInt8(ascii: ":")) ? 32 : 128
        var count = width
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(\.isDigit),
                let given = Int(parts[1]), given <= width
            else { return nil }
            count = given
        }
        // A shift by all bits leaves none.
        mask = UInt128.max << UInt128(width - count)
        guard address.bits & ~mask == 0 else { return nil }
        first = address
    }

    public func contains(_ address: IPAddress) -> Bool { address.bits & mask == first.bits }
}
