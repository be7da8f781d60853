// The dependencies that an app takes in with `BlobClient`, read from the package's own description.

import Foundation
import Testing

@Suite("The product BlobClient")
struct PackageTests {
    /// Of other packages. They bring their own C, and build wherever Swift does.
    private static let knownProducts: Set<String> = [
        "AsyncHTTPClient", "Crypto", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL", "SystemPackage",
    ]

    @Test("it and all that it imports are Swift, without libraries of the system")
    func closure() async throws {
        let package = try await Package.described()
        let library = try #require(package.products.first { $0.name == "BlobClient" && $0.type["library"] != nil })
        var (waiting, modules, products) = (library.targets, Set<String>(), Set<String>())
        while let name = waiting.popLast() {
            guard modules.insert(name).inserted else { continue }
            let target = try #require(package.targets.first { $0.name == name }, "\(name)")
            #expect(target.type == "regular", "\(name)")
            #expect(try Package.headers(of: target).isEmpty, "\(name)")
            for dependency in target.dependencies {
                if let module = dependency.module {
                    waiting.append(module)
                } else {
                    products.insert(dependency.otherProduct)
                }
            }
        }
        #expect(modules == ["BlobClient", "BlobCore"])
        #expect(products.subtracting(Self.knownProducts).isEmpty, "look at what they need, then add them here")
    }
}

/// The output of `swift package dump-package`.
struct Package: Decodable {
    struct Product: Decodable {
        let name: String
        let targets: [String]
        /// The kind is its only key.
        let type: [String: JSON]
    }

    struct Target: Decodable {
        let name: String
        let type: String
        let path: String?
        let dependencies: [Dependency]
    }

    /// A module of this package, or a product of another one: a name first in a list under the kind.
    struct Dependency: Decodable {
        let byName: [JSON]?
        let target: [JSON]?
        let product: [JSON]?

        var module: String? { (byName ?? target)?.first?.string }
        var otherProduct: String { product?.first?.string ?? "?" }
    }

    let products: [Product]
    let targets: [Target]

    /// The folder of the package.
    static let root = #filePath.components(separatedBy: "/Tests/")[0]

    static func described() async throws -> Package {
        // The usual place is locked while tests run.
        let elsewhere = try TemporaryFolder()
        let command = ["swift", "package", "--scratch-path", elsewhere.path, "dump-package"]
        let outcome = try await ChildProcess.run(command, in: root)
        guard outcome.end == .code(0) else { throw Failure(outcome.errors) }
        return try JSONDecoder().decode(Package.self, from: Data(outcome.output.utf8))
    }

    /// The headers of C, and the module maps that name them to Swift.
    static func headers(of target: Target) throws -> [String] {
        let folder = root + "/" + (target.path ?? "Sources/" + target.name)
        return try FileManager.default.subpathsOfDirectory(atPath: folder).filter { path in
            [".h", ".modulemap"].contains { path.hasSuffix($0) }
        }
    }
}
