// The caller's own files on the server, found by name, pattern or digest.

import BlobClient
import BlobCore

/// Never finds others' files, even with the scope `admin`, which lists everybody's.
struct FileSearch: Sendable {
    let client: BlobServiceClient

    /// All that match one of the patterns, the oldest first. They are found before anything is done with them.
    func matching(_ patterns: [FilePattern]) async throws -> [StoredFile] {
        let held = patterns.count == 1 ? patterns[0].heldText : nil
        return try await files(holding: held) { file in patterns.contains { $0.matches(file) } }
    }

    /// All that have the name or path, or else all whose digest begins so.
    func named(_ name: String) async throws -> [StoredFile] {
        let found = try await files(holding: name) { $0.name == name || $0.path == name }
        guard found.isEmpty, let start = BlobReference.digestStart(name) else { return found }
        return try await files { $0.digest?.hasPrefix(start) ?? false }
    }

    /// All whose path leads through the folder, or is that path itself.
    func below(_ folder: String) async throws -> [StoredFile] {
        try await files(holding: folder) { file in
            guard let path = file.path else { return false }
            return path == folder || path.utf8.starts(with: (folder + "/").utf8)
        }
    }

    func having(_ digest: BlobDigest) async throws -> [StoredFile] {
        try await files { $0.digest == digest.hex }
    }

    /// The one file of that name. Several with the same bytes are as good as one.
    ///
    /// - Parameter takesNewest: whether the newest one is meant where there are several.
    /// - Throws: ``AmbiguousName``, and ``Problem`` when there is none.
    func one(named name: String, takesNewest: Bool) async throws -> StoredFile {
        let found = try await named(name)
        guard let newest = found.last else {
            let digits = BlobReference.digestStart(name).map { $0.utf8.count }
            let remark = digits.map { ", and no digest begins so; a whole digest has 64 digits, this has \($0)" } ?? ""
            throw Problem("none of your files has this name\(remark); 'blob find' takes patterns")
        }
        guard takesNewest || Set(found.map(\.digest)).count == 1 else { throw AmbiguousName(files: found) }
        return newest
    }

    private func files(
        holding text: String? = nil, where isWanted: (StoredFile) -> Bool
    ) async throws -> [StoredFile] {
        var query = FileQuery()
        (query.search, query.order) = (text, .createdAt)
        var found: [StoredFile] = []
        for try await page in client.filePages(query) {
            found += page.items.filter { page.isOwn($0) && isWanted($0) }
        }
        return found
    }
}

extension FilePage {
    /// Whether it is a file of the caller's. All are, on a server that does not tell owners: it lists no others.
    func isOwn(_ file: StoredFile) -> Bool { file.owner == nil || file.owner == subject }
}

/// Several files are meant by one name.
struct AmbiguousName: Error, CustomStringConvertible {
    /// The oldest first.
    let files: [StoredFile]

    var description: String { "\(files.count) of your files have this name" }

    static let advice = "give the id or the digest of one, or --newest for the newest:"

    /// One line for each.
    var lines: [String] { files.map { FileLine.short($0) } }
}
