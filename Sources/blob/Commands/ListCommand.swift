// `blob list` and `blob find`: which files the caller has on the server.

import ArgumentParser
import BlobClient
import Foundation

/// How files are listed.
struct ListFlags: ParsableArguments {
    @Flag(
        name: .shortAndLong,
        help: """
            Tell all: id, whole digest, bytes, time of upload, time when it goes by itself, media type, owner, and path.
            """)
    var long = false

    @Flag(help: "Print JSON, an object on a line for each file.")
    var json = false

    func validate() throws {
        if json && long { throw ValidationError("--json tells all; --long and --json exclude each other.") }
    }

    /// Prints the files, as a part of `page`.
    func print(_ files: [StoredFile], of page: FilePage, from client: BlobServiceClient) throws {
        let lines = files.map { file in
            if json { return JSONLines.text(file.withWholeURL(client)) }
            return long ? FileLine.long(file) : FileLine.short(file, owner: page.isOwn(file) ? nil : file.owner)
        }
        try Output.write(lines.map { $0 + "\n" }.joined())
    }
}

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List your files on the server: id, start of the digest, size, time of upload, name.",
        discussion: "With a token that has the scope 'admin', everybody's; those of others end with their owner."
    )

    enum Order: String, ExpressibleByArgument, CaseIterable {
        case name, size, created
    }

    @Option(help: ArgumentHelp("Only files whose name or path contains this.", valueName: "TEXT"))
    var search: String?

    @Option(
        help: ArgumentHelp("What to sort by: name, size or created; the oldest first without it.", valueName: "ORDER"))
    var order: Order?

    @Flag(help: "Turn the order round: the last name, the largest or the newest first. Needs --order.")
    var descending = false

    @Option(help: ArgumentHelp("How many to list at most.", valueName: "N"))
    var limit: Int?

    @OptionGroup var listFlags: ListFlags
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
        query.top = min(100, limit ?? 100)
        let (first, limit, flags) = (query, limit ?? .max, listFlags)
        try await serverFlags.given().choice().withClient(.asking) { client in
            var rest = limit
            for try await page in client.filePages(first) {
                let files = Array(page.items.prefix(rest))
                try flags.print(files, of: page, from: client)
                rest -= files.count
                if rest == 0 { return }
            }
        }
    }
}

struct FindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "List those of your files whose name or path matches a pattern.",
        discussion: """
            In a pattern, '*' stands for any characters, '?' for one, '[a-z]' for one of some, '[!a-z]' for one of the \
            others, and '\\' makes the next one stand for itself. A pattern without '/' is for names; one with '/' is \
            for whole paths, in which only '**' stands for '/' too. Quote patterns, or the shell takes them for names \
            of local files.

            Prints what 'blob list' prints, and nothing where nothing matches. With a token that has the scope 'admin', \
            everybody's files are looked at; 'download --match' and 'delete --match' take your own alone.
            """
    )

    @Argument(help: ArgumentHelp("Such as 'call-*.wav' or '2026/**'.", valueName: "PATTERN"))
    var patterns: [FilePattern]

    @Option(help: ArgumentHelp("Only files of more bytes than this, such as 1000, 20KiB or 1.5GB.", valueName: "SIZE"))
    var larger: ByteCount?

    @Option(help: ArgumentHelp("Only files of fewer bytes than this.", valueName: "SIZE"))
    var smaller: ByteCount?

    @Option(
        help: ArgumentHelp(
            "Only files that were uploaded before this: so long ago, such as 30m, 12h, 7d or 4w, or a day such as 2026-11-28.",
            valueName: "TIME"))
    var older: PastTime?

    @Option(help: ArgumentHelp("Only files that were uploaded after this.", valueName: "TIME"))
    var newer: PastTime?

    @OptionGroup var listFlags: ListFlags
    @OptionGroup var serverFlags: ServerFlags

    func run() async throws {
        var query = FileQuery()
        query.order = .createdAt
        if patterns.count == 1 { query.search = patterns[0].heldText }
        let now = Date()
        let filter = Filter(
            patterns: patterns, larger: larger?.bytes, smaller: smaller?.bytes, before: older?.date(at: now),
            after: newer?.date(at: now))
        let (asked, flags) = (query, listFlags)
        try await serverFlags.given().choice().withClient(.asking) { client in
            for try await page in client.filePages(asked) {
                try flags.print(page.items.filter(filter.takes), of: page, from: client)
            }
        }
    }

    /// A file of which the server does not tell the value that is asked for is not taken.
    private struct Filter: Sendable {
        var patterns: [FilePattern]
        var larger: Int64?
        var smaller: Int64?
        var before: Date?
        var after: Date?

        func takes(_ file: StoredFile) -> Bool {
            if let larger, (file.size ?? .min) <= larger { return false }
            if let smaller, (file.size ?? .max) >= smaller { return false }
            if let before, (file.createdAt ?? .distantFuture) >= before { return false }
            if let after, (file.createdAt ?? .distantPast) <= after { return false }
            return patterns.contains { $0.matches(file) }
        }
    }
}

extension StoredFile {
    /// The server tells a path.
    func withWholeURL(_ client: BlobServiceClient) -> Self {
        var file = self
        file.url = url.map { $0.hasPrefix("/") ? client.address + $0 : $0 }
        return file
    }
}
