// An app of its own that uses the library: a package that depends on this one.

import BlobCore
import Foundation
import Testing

/// Building it takes some minutes the first time: it shares nothing with this package's own build.
@Suite("An app with BlobClient")
struct LibraryTests {
    @Test("is built, uploads and downloads, and needs none of the server's libraries", .timeLimit(.minutes(30)))
    func app() async throws {
        let app = Package.root + "/.build-library/debug/App"
        let build = ["swift", "build", "--package-path", "Tests/library", "--scratch-path", ".build-library"]
        let built = try await ChildProcess.run(build, in: Package.root, within: .seconds(1700))
        guard built.end == .code(0) else { throw Failure(built.output + built.errors) }

        let folder = try TemporaryFolder()
        // More than goes with the completion.
        let bytes = try Sample.bytes(5 << 20)
        let original = try folder.write(bytes, to: "original")
        try await withServer { server in
            let arguments = [app, server.address, try server.adminToken(), original, folder.path + "/copy"]
            let outcome = try await ChildProcess.run(arguments, in: folder.path)
            #expect(outcome.end == .code(0) && outcome.errors == "", "\(outcome)")
            #expect(outcome.output == BlobDigest(of: bytes).hex + "\n")
            #expect(try folder.read("copy") == bytes)
        }

        let libraries = try await ChildProcess.run(["ldd", app], in: folder.path)
        #expect(libraries.end == .code(0))
        for name in ["libcrypto", "libssl", "libsqlite3", "libpq"] {
            #expect(!libraries.output.contains(name), "\(libraries.output)")
        }
    }
}
