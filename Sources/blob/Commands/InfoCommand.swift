// `blob info`: everything about a file, or about a blob.

import ArgumentParser
import BlobClient
import BlobCore
import Foundation
import Program

struct InfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Tell everything about a file of yours, or about a blob.",
        discussion: """
            Of a file, by its id or name: all that the server knows. Of a blob, by its digest or URL: what a download \
            would bring, and which of your files have these bytes. That takes a look at all of your files.
            """
    )

    @Argument(help: ArgumentHelp("An id, a name, a digest or a URL, as 'blob download' takes them.", valueName: "BLOB"))
    var blob: String

    @Flag(help: "Where several of your files have the name, tell of the newest. Without it, that is an error.")
    var newest = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        do {
            _ = try BlobReference(parsing: blob)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() async throws {
        let (reference, newest) = (try BlobReference(parsing: blob), newest)
        switch reference {
        case .file(let id):
            try show(await asking(serverFlags.given().choice()) { try await $0.file("\(id)").withWholeURL($0) })
        case .name(let name):
            try show(
                await asking(serverFlags.given().choice()) {
                    try await FileSearch(client: $0).one(named: name, takesNewest: newest).withWholeURL($0)
                })
        case .digest(let digest):
            try show(await asking(serverFlags.given().choice()) { try await BlobDescription(of: digest, on: $0) })
        case .url(let address, let digest):
            try show(
                await asking(serverFlags.given().choice(at: address)) { try await BlobDescription(of: digest, on: $0) })
        }
    }

    private func asking<Value: Sendable>(
        _ choice: ServerChoice, _ question: @Sendable (BlobServiceClient) async throws -> Value
    ) async throws -> Value {
        try await choice.withClient(.asking) { try await question($0) }
    }

    private func show(_ file: StoredFile) throws {
        if json { return try JSONLines.print(file) }
        try Output.write(alignedTable(Self.rows(file)) + "\n")
    }

    private func show(_ blob: BlobDescription) throws {
        if json { return try JSONLines.print(blob) }
        try Output.write(alignedTable(blob.rows) + "\n")
        for file in blob.files ?? [] { try Output.write(FileLine.short(file) + "\n") }
    }

    static func rows(_ file: StoredFile) -> [[String]] {
        let rows: [(String, String?)] = [
            ("name", file.name), ("path", file.path), ("id", file.id), ("size", file.size.map(wholeSizeText)),
            ("digest", file.digest), ("URL", file.url), ("media type", file.mediaType), ("owner", file.owner),
            ("created", file.createdAt?.formatted(.iso8601)),
            ("temporary", file.isTemporary.map { $0 ? "yes" : "no" }),
            ("goes", file.expiresAt?.formatted(.iso8601)),
        ]
        return rows.compactMap { key, value in value.map { [key, DisplayText.safe($0)] } }
    }

    fileprivate static func wholeSizeText(_ bytes: Int64) -> String {
        bytes < 1024 ? "\(bytes) bytes" : "\(bytes) bytes (\(sizeText(bytes)))"
    }
}

/// A blob, and the caller's files that have its bytes.
private struct BlobDescription: Encodable, Sendable {
    var digest: String
    var size: Int64?
    /// The name that the server proposes for a download.
    var name: String?
    var url: String
    /// `nil` when they cannot be listed.
    var files: [StoredFile]?

    init(of digest: BlobDigest, on client: BlobServiceClient) async throws {
        guard let blob = try await client.blob(digest) else {
            throw Problem("the server has no blob with this digest, or it is damaged there")
        }
        (self.digest, size, name, url) = (digest.hex, blob.size, blob.name, client.url(of: digest))
        do {
            files = try await FileSearch(client: client).having(digest).map { $0.withWholeURL(client) }
        } catch BlobClientError.refused(let refusal) where [401, 403, 404].contains(refusal.status) {
            // A download may need no token, or one that lists nothing.
        }
    }

    var rows: [[String]] {
        let count = files.map { $0.isEmpty ? "none" : "\($0.count), with id, digest, size and time of upload:" }
        let rows: [(String, String?)] = [
            ("digest", digest), ("size", size.map(InfoCommand.wholeSizeText)), ("name", name), ("URL", url),
            ("your files", count ?? "cannot be listed with this token"),
        ]
        return rows.compactMap { key, value in value.map { [key, DisplayText.safe($0)] } }
    }
}
