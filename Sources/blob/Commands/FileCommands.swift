// `blob list`, `blob info` and `blob delete`: the caller's files on the server.

import ArgumentParser
import BlobClient
import Foundation
import Program

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List your files on the server: id, size, time of upload, name.",
        discussion: "With a token that has the scope 'admin', everybody's."
    )

    enum Order: String, ExpressibleByArgument, CaseIterable {
        case name, size, created
    }

    @Option(help: ArgumentHelp("Only files whose name contains this.", valueName: "TEXT"))
    var search: String?

    @Option(help: "What to sort by: name, size or created.")
    var order: Order?

    @Flag(help: "The other way round: the last, the largest, the newest first. Needs --order.")
    var descending = false

    @Option(help: ArgumentHelp("How many to list at most.", valueName: "N"))
    var limit: Int?

    @Flag(help: "Print JSON, an object on a line for each file.")
    var json = false

    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit is at least 1.") }
        if descending && order == nil { throw ValidationError("--descending needs --order.") }
    }

    func run() async throws {
        var query = FileQuery()
        (query.search, query.isDescending) = (search, descending)
        query.order = order.map { order in
            switch order {
            case .name: .name
            case .size: .size
            case .created: .createdAt
            }
        }
        let (first, limit, json) = (query, limit ?? .max, json)
        try await serverFlags.given().choice().withServer(patience: .short) { server in
            var query = first
            while query.skip < limit {
                query.top = min(100, limit - query.skip)
                let page = try await server.files(query)
                try Output.write(
                    page.items.map { (json ? JSONLines.text($0.withWholeURL(server)) : Self.line($0)) + "\n" }.joined())
                query.skip += page.items.count
                if page.items.isEmpty || query.skip >= page.count { return }
            }
        }
    }

    /// Columns of fixed widths: page after page is printed as it comes.
    static func line(_ file: StoredFile) -> String {
        let cells = [
            (file.id ?? "-", 28), (file.size.map(sizeText) ?? "-", -10),
            (file.createdAt?.formatted(.iso8601) ?? "-", 20),
        ]
        let columns = cells.map { text, width in
            let filling = String(repeating: " ", count: max(0, abs(width) - text.count))
            return width < 0 ? filling + text : text + filling
        }
        return (columns + [DisplayText.safe(file.name ?? "-")]).joined(separator: "  ")
    }
}

struct InfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Tell everything about one of your files on the server.")

    @Argument(help: ArgumentHelp("The file's id, as 'blob list' tells it.", valueName: "ID"))
    var id: String

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var serverFlags: ServerFlags

    func run() async throws {
        let id = id
        let file = try await serverFlags.given().choice().withServer(patience: .short) {
            try await $0.file(id).withWholeURL($0)
        }
        if json { return try JSONLines.print(file) }
        try Output.write(alignedTable(Self.rows(file)) + "\n")
    }

    static func rows(_ file: StoredFile) -> [[String]] {
        let rows: [(String, String?)] = [
            ("name", file.name), ("id", file.id),
            ("size", file.size.map { $0 < 1024 ? "\($0) bytes" : "\($0) bytes (\(sizeText($0)))" }),
            ("digest", file.digest), ("URL", file.url), ("media type", file.mediaType),
            ("created", file.createdAt?.formatted(.iso8601)),
            ("temporary", file.isTemporary.map { $0 ? "yes" : "no" }),
            ("goes", file.expiresAt?.formatted(.iso8601)),
        ]
        return rows.compactMap { key, value in value.map { [key, DisplayText.safe($0)] } }
    }
}

extension StoredFile {
    /// The server tells a path.
    fileprivate func withWholeURL(_ server: BlobServer) -> Self {
        var file = self
        file.url = url.map { $0.hasPrefix("/") ? server.address + $0 : $0 }
        return file
    }
}

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete files on the server.",
        discussion: "The bytes go some time after the last file that has them."
    )

    @Argument(help: ArgumentHelp("Ids of files, as 'blob list' tells them.", valueName: "ID"))
    var ids: [String]

    @Flag(help: "Print JSON, an object on a line for each file.")
    var json = false

    @OptionGroup var serverFlags: ServerFlags

    func run() async throws {
        let (ids, json) = (ids, json)
        let areAllDone = try await serverFlags.given().choice().withServer(patience: .short) { server in
            try await OneByOne(json: json, done: .deleted, word: "deleted").run(ids) { try await server.deleteFile($0) }
        }
        if !areAllDone { throw ExitCode.failure }
    }
}

/// Does the same with each of several things; what fails does not keep the others.
struct OneByOne {
    var json: Bool
    /// What JSON calls the success.
    var done: ReportedEvent.Kind
    var word: String

    /// - Returns: whether all succeeded.
    func run(_ ids: [String], _ body: (String) async throws -> Void) async throws -> Bool {
        var areAllDone = true
        for id in ids {
            do {
                try await body(id)
                var event = ReportedEvent(done)
                event.id = id
                try Output.write((json ? JSONLines.text(event) : "\(word) \(DisplayText.safe(id))") + "\n")
            } catch  where !(error is ClosedOutput || error is CancellationError) {
                areAllDone = false
                var event = ReportedEvent(.failed)
                (event.id, event.error) = (id, ReportedEvent.Failure(error))
                if json { try JSONLines.print(event) }
                if !json { Console.complain("\(DisplayText.safe(id)): \(ErrorText(error).whole)") }
            }
        }
        return areAllDone
    }
}
