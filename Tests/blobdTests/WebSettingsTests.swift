// What the settings say to browsers.

import BlobHTTP
import Testing

@testable import blobd

struct WebSettingsTests {
    @Test(
        "downloads may be embedded by those whose pages may use the server, unless it is said otherwise",
        arguments: [
            ([:], .sameSite), ([.corsOrigins: "none"], .sameSite), ([.corsOrigins: "*"], .crossOrigin),
            ([.corsOrigins: "https://a.example.com"], .crossOrigin),
            ([.corsOrigins: "*", .crossOriginResourcePolicy: "same-site"], .sameSite),
            ([.corsOrigins: "*", .crossOriginResourcePolicy: "same-origin"], .sameOrigin),
            ([.crossOriginResourcePolicy: "cross-origin"], .crossOrigin),
            ([.crossOriginResourcePolicy: "auto"], .sameSite),
        ] as [([Setting: String], CrossOriginResourcePolicy)])
    func resourcePolicy(flags: [Setting: String], policy: CrossOriginResourcePolicy) throws {
        let settings = try Settings(try EffectiveSettings(flags: flags, environment: [:]))
        #expect(settings.crossOriginResourcePolicy == policy)
        #expect((settings.corsOrigins == nil) == ["none", nil].contains(flags[.corsOrigins]))
    }

    @Test(arguments: [
        ("https://pbx.example.com/files", "https://pbx.example.com/files"), ("http://a/b/c/", "http://a/b/c"),
        ("https://A.example.com", "https://a.example.com"), ("http://[::1]:8080/", "http://[::1]:8080"),
    ])
    func publicURLs(text: String, url: String) throws {
        let settings = try Settings(try EffectiveSettings(flags: [.publicURL: text], environment: [:]))
        #expect(settings.publicAddress.url == url)
    }

    @Test(arguments: ["/files", "https://u:p@a/files", "https://a/files?x=y", "https://a/files#x", "https://a/f%69les"])
    func wrongPublicURLs(text: String) {
        do {
            _ = try EffectiveSettings(flags: [.publicURL: text], environment: [:])
            Issue.record("\(text) was taken")
        } catch {
            let start = "public-url: '", end = "' from the flag --public-url must be an http or https URL such as "
            #expect(error.problems.count == 1)
            #expect(error.problems.first?.hasPrefix(start) == true && error.problems.first?.contains(end) == true)
            #expect(error.problems.first?.contains("u:p@") == false)
        }
    }

    @Test func noPublicURL() throws {
        #expect(try Settings(try EffectiveSettings(flags: [:], environment: [:])).publicAddress.url == nil)
    }
}
