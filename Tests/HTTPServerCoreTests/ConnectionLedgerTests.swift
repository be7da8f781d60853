// Who goes for a newcomer, without connections.

import NIOCore
import Testing

@testable import HTTPServerCore

@Suite struct ConnectionLedgerTests {
    private typealias Ledger = ConnectionLedger<String>

    private static func network(_ text: String) throws -> IPAddress {
        try #require(IPAddress(SocketAddress(ipAddress: text, port: 1))).network
    }

    private static func evicted(_ count: Int, from ledger: inout Ledger, of network: IPAddress? = nil) -> [String] {
        (0..<count).compactMap { _ in ledger.evictOldestIdle(of: network)?.1 }
    }

    @Test func theOldestIdleOneGoesFirst() {
        var ledger = Ledger()
        let numbers = ["a", "b", "c", "d"].map { ledger.add($0, from: nil) }
        // "a" is busy; "b" was, and has idled for a shorter time than "c".
        ledger.began(numbers[0])
        ledger.began(numbers[1])
        ledger.ended(numbers[1])
        #expect(Self.evicted(4, from: &ledger) == ["c", "d", "b"])
        #expect(ledger.count == 1 && ledger.leavingCount == 3 && !ledger.hasIdle)
        for number in numbers { ledger.remove(number) }
        #expect(ledger.count == 0 && ledger.leavingCount == 0 && ledger.connections.isEmpty)
    }

    @Test func requestsOfOneConnectionAtOneTime() {
        var ledger = Ledger()
        let number = ledger.add("a", from: nil)
        for _ in 0..<3 { ledger.began(number) }
        for _ in 0..<2 { ledger.ended(number) }
        #expect(!ledger.hasIdle)
        ledger.ended(number)
        #expect(Self.evicted(1, from: &ledger) == ["a"])
    }

    @Test func oneWithARequestByNowStays() {
        var ledger = Ledger()
        let number = ledger.add("a", from: nil)
        #expect(Self.evicted(1, from: &ledger) == ["a"])
        ledger.began(number)
        let stays = ledger.staysAfterAll(number)
        #expect(stays)
        #expect(ledger.count == 1 && ledger.leavingCount == 0 && !ledger.hasIdle)
        ledger.ended(number)
        #expect(Self.evicted(1, from: &ledger) == ["a"])
        let staysAgain = ledger.staysAfterAll(number)
        #expect(!staysAgain)
    }

    /// A request may end after its connection, when another has its place.
    @Test func whatEndsLateIsNobodyElses() {
        var ledger = Ledger()
        let first = ledger.add("a", from: nil)
        ledger.began(first)
        ledger.remove(first)
        let second = ledger.add("b", from: nil)
        ledger.began(second)
        ledger.ended(first)
        ledger.remove(first)
        #expect(!ledger.hasIdle && ledger.count == 1)
        ledger.ended(second)
        #expect(Self.evicted(1, from: &ledger) == ["b"])
    }

    @Test func networks() throws {
        var ledger = Ledger()
        let (here, there) = (try Self.network("192.0.2.1"), try Self.network("192.0.2.2"))
        let numbers = [("a", there), ("b", here), ("c", here)].map { ledger.add($0.0, from: $0.1) }
        ledger.began(numbers[1])
        #expect(ledger.count(of: here) == 2)
        #expect(Self.evicted(2, from: &ledger, of: here) == ["c"])
        #expect(ledger.count(of: here) == 1 && ledger.count(of: there) == 1)
        for number in numbers { ledger.remove(number) }
        #expect(ledger.count(of: here) == 0 && ledger.count(of: there) == 0)
    }

    @Test(
        "an IPv4 address is a client; in IPv6 a network of /64 is",
        arguments: [
            ("192.0.2.1", "::ffff:192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false), ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false), ("::1", "::2", true),
        ])
    func clients(_ first: String, _ second: String, areOne: Bool) throws {
        #expect((try Self.network(first) == Self.network(second)) == areOne)
    }
}
