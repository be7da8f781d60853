// A place for a test's files.

import Foundation

/// A directory that is removed with its last user.
final class ScratchDirectory: Sendable {
    private let url: URL

    var path: String { url.path }

    /// Where a catalog's database may be made.
    var catalog: String { url.appendingPathComponent("catalog.sqlite").path }

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("LocalBackendTests-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }
}
