// Who the client is behind proxies, and which texts are addresses and networks.

import HTTPTypes
import NIOCore
import Testing

@testable import HTTPServerCore

@Suite struct TrustedProxiesTests {
    private static func proxies(_ networks: String...) throws -> TrustedProxies {
        TrustedProxies(try networks.map { try #require(IPNetwork($0)) })
    }

    private static func fields(_ name: String, _ values: [String]) throws -> HTTPFields {
        let name = try #require(HTTPField.Name(name))
        return HTTPFields(values.map { HTTPField(name: name, value: $0) })
    }

    private static let proxy = "10.0.0.1"

    @Test(
        "X-Forwarded-For, from the right",
        arguments: [
            (["192.0.2.7"], "192.0.2.7"), (["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
            (["192.0.2.7, 10.0.0.2,10.0.0.3"], "192.0.2.7"), (["192.0.2.7", "10.0.0.2"], "192.0.2.7"),
            (["198.51.100.9", "192.0.2.7"], "192.0.2.7"), (["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            (["192.0.2.7:4711"], "192.0.2.7"), (["[2001:db8::7]:4711"], "2001:db8::7"),
            (["2001:db8::7"], "2001:db8::7"),
            (["::ffff:192.0.2.7"], "192.0.2.7"), ([" \t192.0.2.7\t "], "192.0.2.7"),
            // Nothing before what makes no sense is read.
            (["192.0.2.7, unknown"], proxy), (["192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2"), ([""], proxy),
            (["192.0.2.7,"], proxy), (["192.0.2.300"], proxy), (["192.0.2.7:port"], proxy), (["[::1"], proxy),
            (["0300.0.2.7"], proxy), (["fe80::1%eth0"], proxy), (["\"192.0.2.7\""], proxy), ([], proxy),
        ])
    func list(_ values: [String], _ client: String) throws {
        let proxies = try Self.proxies("10.0.0.0/8")
        let found = try proxies.client(
            of: Self.fields("X-Forwarded-For", values), through: try #require(IPAddress(Self.proxy)))
        #expect(found.description == client)
    }

    @Test(
        "Forwarded, from the right",
        arguments: [
            (["for=192.0.2.7"], "192.0.2.7"), (["For=\"192.0.2.7:4711\";proto=https"], "192.0.2.7"),
            (["by=10.0.0.1; for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (["for=198.51.100.9, for=192.0.2.7;host=a, for=10.0.0.2"], "192.0.2.7"),
            // A quote that the client has opened, and what it can put into a host that the proxy tells.
            (["for=\"198.51.100.9, for=192.0.2.7"], "192.0.2.7"),
            (["for=192.0.2.7;host=\"a,for=198.51.100.9\""], proxy),
            (["for=192.0.2.7;host=\"a,for=198.51.100.9;b=c\""], proxy),
            (["for=_hidden"], proxy), (["for=unknown"], proxy), (["for=192.0.2.7, proto=https"], proxy),
            (["for=192.0.2.7;for=192.0.2.8"], proxy), (["for 192.0.2.7"], proxy), (["for=192.0.2.7;"], proxy),
            (["for=\"192.0.2\\.7\""], proxy), (["=192.0.2.7"], proxy),
        ])
    func standard(_ values: [String], _ client: String) throws {
        let proxies = try Self.proxies("10.0.0.0/8")
        let found = try proxies.client(
            of: Self.fields("Forwarded", values), through: try #require(IPAddress(Self.proxy)))
        #expect(found.description == client)
    }

    @Test func twoHeaders() throws {
        let proxies = try Self.proxies("10.0.0.0/8")
        let proxy = try #require(IPAddress(Self.proxy))
        let list = try Self.fields("X-Forwarded-For", ["192.0.2.7"])
        #expect(
            try proxies.client(of: list + Self.fields("Forwarded", ["for=192.0.2.7"]), through: proxy).description
                == "192.0.2.7")
        #expect(throws: TrustedProxies.Contradiction.self) {
            try proxies.client(of: list + Self.fields("Forwarded", ["for=192.0.2.8"]), through: proxy)
        }
    }

    @Test("long values cost no more than short ones", arguments: ["X-Forwarded-For", "Forwarded"])
    func cost(_ name: String) throws {
        let proxies = try Self.proxies("10.0.0.0/8")
        let proxy = try #require(IPAddress(Self.proxy))
        let member = name == "Forwarded" ? "for=10.0.0.2" : "10.0.0.2"
        for value in [
            Array(repeating: member, count: 100_000).joined(separator: ","), String(repeating: ",", count: 1_000_000),
            String(repeating: "\"", count: 1_000_000), String(repeating: ";", count: 1_000_000),
        ] {
            let fields = try Self.fields(name, [value])
            let times = (0..<5).map { _ in
                ContinuousClock().measure { _ = try? proxies.client(of: fields, through: proxy) }
            }
            // In a debug build; reading a MiB takes many times as long.
            #expect(try #require(times.min()) < .milliseconds(5))
        }
    }

    @Test(
        "networks",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.6", false), ("0.0.0.0/0", "192.0.2.7", true),
            ("0.0.0.0/0", "2001:db8::1", false), ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false), ("::1", "::1", true), ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.128/25", "192.0.2.129", true), ("192.0.2.7/32", "192.0.2.7", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
        ])
    func contains(_ network: String, _ address: String, does: Bool) throws {
        #expect(try #require(IPNetwork(network)).contains(try #require(IPAddress(address))) == does)
    }

    @Test(
        "texts that are no networks",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0.0/-1", "10.0.0.0/08x", "10.0/8", "a",
            "10.0.0.0/8/8", "10.0.0.0/0000", "[::1]", "::1%lo", "10.0.0.0 /8",
        ])
    func noNetwork(_ text: String) {
        #expect(IPNetwork(text) == nil)
    }
}

@Suite struct ProxyHeaderTests {
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    private static let ipv4: [UInt8] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x22, 0xB7]

    private static func bytes(_ family: UInt8, _ rest: [UInt8], command: UInt8 = 0x21) -> [UInt8] {
        signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
    }

    private static let ipv6: [UInt8] =
        Array(repeating: 0x20, count: 16) + Array(repeating: 1, count: 16) + [0, 80, 0, 81]

    static let good: [([UInt8], String?)] = [
        (bytes(0x11, ipv4), "192.0.2.7:4711"), (bytes(0x21, ipv6), "2020:2020:2020:2020:2020:2020:2020:2020:80"),
        // With more behind the addresses; of the proxy itself; of a kind that is not asked for.
        (bytes(0x11, ipv4 + [4, 0, 1, 0]), "192.0.2.7:4711"), (bytes(0, [], command: 0x20), nil),
        (bytes(0x11, ipv4, command: 0x20), nil), (bytes(0, [1, 2]), nil),
        (bytes(0x31, Array(repeating: 0, count: 216)), nil),
    ]

    @Test("a header, in one piece or byte by byte, and nothing of what follows", arguments: good.indices)
    func header(_ index: Int) throws {
        let (header, source) = Self.good[index]
        var bytes = ByteBuffer()
        for byte in header.dropLast() {
            bytes.writeInteger(byte)
            #expect(try ProxyHeader.read(from: &bytes) == nil)
        }
        bytes.writeBytes(header.suffix(1) + Array("GET".utf8))
        let found = try #require(try ProxyHeader.read(from: &bytes))
        #expect(found.source.map { "\($0.address):\($0.port)" } == source)
        #expect(String(buffer: bytes) == "GET")
    }

    static let bad: [[UInt8]] = [
        Array("G".utf8), Array("PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".utf8), [0x0D, 0x0A, 0x0D, 0x0B],
        bytes(0x11, ipv4, command: 0x31), bytes(0x11, ipv4, command: 0x22), bytes(0x11, [1, 2, 3]), bytes(0x21, ipv4),
        signature + [0x21, 0x11, 0x10, 0x01],
    ]

    @Test("what is none is told at once", arguments: bad)
    func malformed(_ bytes: [UInt8]) {
        #expect(throws: ProxyHeader.Malformed()) {
            var buffer = ByteBuffer(bytes: bytes)
            _ = try ProxyHeader.read(from: &buffer)
        }
    }
}
