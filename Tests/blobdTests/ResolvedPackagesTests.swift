// The versions of the libraries that read what clients send: docs/security.md.

import Foundation
import Testing

struct ResolvedPackagesTests {
    private struct Resolved: Decodable {
        struct Pin: Decodable {
            struct State: Decodable {
                let version: String?
            }

            let identity: String
            let state: State
        }

        let pins: [Pin]
    }

    /// Earlier ones let a client of HTTP/2 or of a broken framing take more than its share.
    @Test(arguments: [("swift-nio", [2, 100, 0]), ("swift-nio-http2", [1, 44, 1])])
    func leastVersion(_ package: String, least: [Int]) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let resolved = try JSONDecoder().decode(
            Resolved.self, from: Data(contentsOf: root.appending(path: "Package.resolved")))
        let pin = try #require(resolved.pins.first { $0.identity == package })
        let version = try #require(pin.state.version).split(separator: ".").compactMap { Int($0) }
        #expect(version.count == 3 && !version.lexicographicallyPrecedes(least), "\(package) \(version)")
    }
}
