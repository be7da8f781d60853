// How the values of settings are written.

import BlobHTTP
import Logging
import Testing

@testable import blobd

struct SettingValueTests {
    @Test(arguments: [
        ("0", 0), ("4096", 4096), ("1B", 1), ("64KiB", 65_536), ("4MiB", 4_194_304), ("1GiB", 1_073_741_824),
        ("1TiB", 1_099_511_627_776), ("2PiB", 2_251_799_813_685_248), ("10KB", 10_000), ("10GB", 10_000_000_000),
        ("3tb", 3_000_000_000_000), ("64kib", 65_536), ("9223372036854775807", Int64.max),
        ("8191PiB", 8191 << 50),
    ])
    func sizes(text: String, bytes: Int64) {
        #expect(ByteCount(settingText: text)?.bytes == bytes)
    }

    @Test(arguments: [
        "", "KiB", "1.5GiB", "-1", "+1", " 1", "1 ", "1 GiB", "1_000", "1e3", "0x10", "1XiB", "1GiBs", "١",
        "9223372036854775808", "8192PiB", "99999999999999999999TiB", "none",
    ])
    func malformedSizes(text: String) {
        #expect(ByteCount(settingText: text) == nil)
    }

    @Test func limits() {
        #expect(ByteLimit(settingText: "none").map(\.bytes) == .some(nil))
        #expect(ByteLimit(settingText: "1KiB")?.bytes == 1024)
        #expect(ByteLimit(settingText: "None") == nil)
        #expect(ByteLimit(settingText: "") == nil)
    }

    @Test(arguments: [
        ("0s", Duration.zero), ("500ms", .milliseconds(500)), ("1s", .seconds(1)), ("5m", .seconds(300)),
        ("12h", .seconds(43_200)), ("7d", .seconds(604_800)), ("36500d", .seconds(3_153_600_000)),
    ])
    func durations(text: String, duration: Duration) {
        #expect(Duration(settingText: text) == duration)
    }

    @Test(arguments: [
        "", "1", "s", "-1s", "1.5h", "1 s", "1S", "1w", "36501d", "3153600000001ms", "9223372036854775807d",
        "9223372036854775808ms",
    ])
    func malformedDurations(text: String) {
        #expect(Duration(settingText: text) == nil)
    }

    @Test(arguments: [("0", 0), ("1000", 1000), ("9223372036854775807", Int.max)])
    func counts(text: String, count: Int) {
        #expect(Int(settingText: text) == count)
    }

    @Test(arguments: ["", "-1", "1k", "1.0", "9223372036854775808"])
    func malformedCounts(text: String) {
        #expect(Int(settingText: text) == nil)
    }

    @Test(arguments: [
        ("127.0.0.1:8887", "127.0.0.1", 8887, true), ("127.9.9.9:0", "127.9.9.9", 0, true),
        ("[::1]:8887", "::1", 8887, true), ("localhost:80", "localhost", 80, true),
        ("0.0.0.0:8887", "0.0.0.0", 8887, false), ("[::]:65535", "::", 65_535, false),
        ("[2001:db8::1]:1", "2001:db8::1", 1, false), ("blobs.example.org:443", "blobs.example.org", 443, false),
        ("127.example.org:443", "127.example.org", 443, false),
    ])
    func addresses(text: String, host: String, port: Int, isLoopback: Bool) throws {
        let address = try #require(ListenAddress(settingText: text))
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.isLoopback == isLoopback)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", ":", "8887", ":8887", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:x",
        "::1:8887", "[::1]", "[127.0.0.1]:1", "[x]:1", "10.0.0.300:1", "a b:1", "a..b:1", "http://a:1", "*:1",
    ])
    func malformedAddresses(text: String) {
        #expect(ListenAddress(settingText: text) == nil)
    }

    @Test(arguments: [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.1.2.3:1", "10.1.2.3:1")])
    func reachableAddresses(text: String, reachable: String) {
        #expect(ListenAddress(settingText: text)?.reachable.description == reachable)
    }

    @Test(
        arguments: [
            ("none", nil), ("*", .all),
            ("https://a.example.com", .listed(["https://a.example.com"].compactMap(WebOrigin.init))),
            ("http://a, http://b:1", .listed(["http://a", "http://b:1"].compactMap(WebOrigin.init))),
        ] as [(String, AllowedOrigins?)])
    func origins(text: String, origins: AllowedOrigins?) throws {
        #expect(try #require(OriginList(settingText: text)).origins == origins)
    }

    @Test(arguments: [
        "", "*,https://a", "https://a,", ",", "none,https://a", "https://a/", "a.example.com", "https://a;https://b",
        "null", "https://*.example.com", "https://a\n", "https://a ,https://b",
    ])
    func malformedOrigins(text: String) {
        #expect(OriginList(settingText: text) == nil)
    }

    @Test func choices() {
        #expect(LogFormat(settingText: "json") == .json)
        #expect(LogFormat(settingText: "JSON") == nil)
        #expect(Logger.Level(settingText: "warning") == .warning)
        #expect(Logger.Level(settingText: "loud") == nil)
        #expect(CrossOriginResourcePolicy(settingText: "same-origin") == .sameOrigin)
        #expect(LogFormat.form == "one of text, json")
    }

    @Test(arguments: [("true", true), ("false", false)])
    func switches(text: String, value: Bool) {
        #expect(Bool(settingText: text) == value)
    }

    @Test(arguments: ["", "yes", "1", "True"])
    func malformedSwitches(text: String) {
        #expect(Bool(settingText: text) == nil)
    }
}
