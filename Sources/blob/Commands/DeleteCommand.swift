// `blob delete`: files of the caller's, by id or by pattern.

import ArgumentParser
import BlobClient
import Program
import SystemPackage

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete files on the server.",
        discussion: """
            By id, or those of your files whose name or path matches a pattern, as 'blob find' tells them. What a \
            pattern has found is shown, and deleted after you have said yes; where there is no terminal to ask on, \
            --yes is needed. With a token that has the scope 'admin', ids may be those of others' files; patterns never \
            find them.

            The bytes go some time after the last file that has them.
            """
    )

    @Argument(help: ArgumentHelp("Ids of files, as 'blob list' tells them.", valueName: "ID"))
    var ids: [String] = []

    @Option(
        help: ArgumentHelp(
            "Delete those of your files that match, such as 'call-*.wav'. Quote it. May be given several times.",
            valueName: "PATTERN"))
    var match: [FilePattern] = []

    @Flag(help: "Delete nothing; print the files that would be.")
    var dryRun = false

    @Flag(name: .shortAndLong, help: "Do not ask before deleting what a pattern has found.")
    var yes = false

    @Flag(help: "Print JSON, an object on a line for each file.")
    var json = false

    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        if ids.isEmpty && match.isEmpty { throw ValidationError("Which file? Give an id, or --match PATTERN.") }
        if !ids.isEmpty && !match.isEmpty { throw ValidationError("Ids and --match exclude each other.") }
        if dryRun && match.isEmpty { throw ValidationError("--dry-run is for --match: an id names one file.") }
    }

    func run() async throws {
        let canAsk = Terminal.isTerminal(.standardInput) && Terminal.isTerminal(.standardError)
        if !match.isEmpty && !dryRun && !yes && !canAsk {
            throw UsageProblem(
                "delete --match asks before it deletes, and there is no terminal: give --yes, or --dry-run")
        }
        let (ids, match, dryRun, yes, json) = (ids, match, dryRun, yes, json)
        let areAllDone = try await serverFlags.given().choice().withClient(.asking) { client in
            let deleting = OneByOne(json: json, done: .deleted, word: "deleted")
            if match.isEmpty { return try await deleting.run(ids) { try await client.deleteFile($0) } }
            let files = try await Self.files(matching: match, on: client)
            if dryRun {
                try Self.show(files, asJSON: json)
                return true
            }
            if !yes, !(try await Self.confirm(files)) {
                Output.tell("Nothing was deleted.")
                return false
            }
            return try await deleting.run(files.compactMap(\.id)) { try await client.deleteFile($0) }
        }
        if !areAllDone { throw ExitCode.failure }
    }

    private static func files(matching patterns: [FilePattern], on client: BlobServiceClient) async throws
        -> [StoredFile]
    {
        let files = try await FileSearch(client: client).matching(patterns)
        if files.isEmpty { throw Problem("none of your files matches; nothing was deleted") }
        guard files.allSatisfy({ $0.owner != nil && $0.id != nil }) else {
            throw Problem("the server does not tell whose files it lists: delete them by id; nothing was deleted")
        }
        return files
    }

    private static func show(_ files: [StoredFile], asJSON: Bool) throws {
        for file in files {
            guard asJSON else {
                try Output.write(FileLine.short(file) + "\n")
                continue
            }
            var event = ReportedEvent(.wouldDelete)
            (event.id, event.name, event.size, event.digest) = (file.id, file.name, file.size, file.digest)
            try JSONLines.print(event)
        }
    }

    private static let mostShown = 20

    private static func confirm(_ files: [StoredFile]) async throws -> Bool {
        let hidden = files.count - mostShown
        for file in files.prefix(mostShown) { Output.tell(FileLine.short(file)) }
        if hidden > 0 { Output.tell("… and \(hidden) more, which --dry-run lists") }
        // A server may tell any sizes.
        let bytes = files.reduce(Int64(0)) { sum, file in
            let (more, isTooMany) = sum.addingReportingOverflow(max(0, file.size ?? 0))
            return isTooMany ? .max : more
        }
        let count = files.count == 1 ? "this file" : "these \(files.count) files"
        Console.complain("delete \(count), \(sizeText(bytes))? [y/N]")
        let answer = try await StandardInput.line(limit: 16).lowercased()
        return ["y", "yes"].contains(answer.filter { !$0.isWhitespace })
    }
}
