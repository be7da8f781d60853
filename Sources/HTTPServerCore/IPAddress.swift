// An IP address, as limits count it.

import NIOCore

/// An address of IPv4 or IPv6. One of IPv4 is the same as that which is mapped into IPv6 (RFC 4291 §2.5.5.2).
struct IPAddress: Hashable, Sendable {
    private static let mapped: UInt128 = 0xffff << 32

    /// Those of IPv4 as they are mapped into IPv6.
    private let bits: UInt128

    private init(bits: UInt128) {
        self.bits = bits
    }

    /// `nil` for a socket of the file system.
    init?(_ address: SocketAddress) {
        switch address {
        // Behind the family and the port (ip(7)); behind the flow, too (ipv6(7)).
        case .v4(let address): bits = Self.mapped | withUnsafeBytes(of: address.address) { Self.number($0[4..<8]) }
        case .v6(let address): bits = withUnsafeBytes(of: address.address) { Self.number($0[8..<24]) }
        case .unixDomainSocket: return nil
        }
    }

    private static func number(_ bytes: Slice<UnsafeRawBufferPointer>) -> UInt128 {
        bytes.reduce(0) { $0 << 8 | UInt128($1) }
    }

    private var isIPv4: Bool { bits >> 32 == 0xffff }

    /// What one client is taken for: in IPv6 whoever has an address has 2^64 of them (RFC 6177).
    var network: IPAddress { isIPv4 ? self : IPAddress(bits: (bits >> 64) << 64) }
}
