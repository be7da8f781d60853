// What the settings say to browsers.

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
}
