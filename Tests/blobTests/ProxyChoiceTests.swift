// Which proxy is taken, of all the places that name one.

import BlobClient
import Testing

@testable import blob

struct ProxyChoiceTests {
    private static func chosen(
        _ environment: [String: String], for address: String = "https://files.example.com", flag: String? = nil
    ) throws -> String? {
        try ProxyChoice(flag: flag, environment: environment).proxy(for: address).map { "\($0.host):\($0.port)" }
    }

    @Test func order() throws {
        let all = ["https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2", "http_proxy": "c:3", "all_proxy": "d:4"]
        #expect(try Self.chosen(all) == "a:1")
        #expect(try Self.chosen(all, for: "HTTP://x") == "c:3")
        #expect(try Self.chosen(["HTTPS_PROXY": "b:2/"]) == "b:2")
        #expect(try Self.chosen(["HTTP_PROXY": "http://b:2"], for: "http://x") == nil)
        #expect(try Self.chosen(["ALL_PROXY": "http://[::1]:2"]) == "::1:2")
        #expect(try Self.chosen(["https_proxy": "", "all_proxy": "d:4"]) == nil)
        #expect(try Self.chosen(all, flag: "none") == nil)
        #expect(try Self.chosen([:], flag: "e:5") == "e:5")
    }

    @Test(arguments: [
        ("*", true), ("example.com", true), (".example.com", true), ("a.b, files.example.com", true),
        ("FILES.example.com", true),
        ("files.example.com:443", true), ("files.example.com:80", false), ("les.example.com", false), ("", false),
    ])
    func leftOut(_ list: String, isLeftOut: Bool) throws {
        let environment = ["https_proxy": "a:1", "no_proxy": list]
        #expect((try Self.chosen(environment) == nil) == isLeftOut)
        #expect(try Self.chosen(environment, flag: "b:2") == "b:2")
    }

    @Test func leftOutIPv6() throws {
        #expect(try Self.chosen(["all_proxy": "a:1", "no_proxy": "::1"], for: "http://[::1]:8887") == nil)
    }

    @Test(arguments: ["https://a:1", "socks5://a:1", "a", "http://a", "http://a:0", "http://a:1/path", "http://:1"])
    func unusable(_ proxy: String) {
        #expect(throws: UsageProblem.self) { try Self.chosen([:], flag: proxy) }
        #expect(throws: UsageProblem.self) { try Self.chosen(["all_proxy": proxy]) }
    }
}
