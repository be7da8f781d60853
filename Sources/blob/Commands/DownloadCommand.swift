// `blob download`: blobs into files, or one to standard output.

import ArgumentParser
import BlobClient
import BlobCore
import SystemPackage

struct DownloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "download",
        abstract: "Download blobs and compare their bytes with their digests.",
        discussion: """
            A BLOB is a digest, a URL of this or another server, the id of a file, or the name or path of one of your \
            files; the first 8 or more digits of a digest do where one of your files has it. The token is sent to the \
            server of a URL only if it is that server's.

            Each blob goes to a hidden file beside its target, which gets its name only when all bytes are there and \
            right; run again, the same command goes on with it. What goes to standard output is compared too, but by \
            then it has been read: look at the exit code.

            With --recursive, a BLOB is the path of a folder that was uploaded: your files in it come back into folders \
            of its name and theirs, of several with the same path the newest.

            In a folder, a file gets the name that it has on the server, without any directory, and with '_' before a \
            '.' or '-' at its beginning; so do the folders of --recursive. --trust-names leaves the '_' out. A file that is there with other bytes is left alone, unless --force is given.
            """
    )

    @Argument(help: ArgumentHelp("Digests, URLs, ids or names; with --recursive paths of folders.", valueName: "BLOB"))
    var blobs: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            Download those of your files whose name matches, such as 'call-*.wav'; with a '/' in the pattern, whose \
            path matches. Quote it, or the shell takes it for names of local files. May be given several times.
            """, valueName: "PATTERN"))
    var match: [FilePattern] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            """
            Where to: a file, a folder, or '-' for standard output. With a '/' at its end it is a folder, which is made \
            if it is not there. Without this option, the current folder.
            """, valueName: "FILE"),
        completion: .file())
    var output: String?

    @Flag(name: .shortAndLong, help: "Bring folders back that were uploaded with --recursive.")
    var recursive = false

    @Flag(name: .shortAndLong, help: "Replace files that are there with other bytes.")
    var force = false

    @Flag(
        help: """
            Let names begin with '.' and '-', as hidden files and options do: for files of your own, on a server that \
            you trust.
            """)
    var trustNames = false

    @Option(
        help: ArgumentHelp(
            """
            Bytes to take at most of a blob whose size the server does not announce, such as 20GiB; 1GiB without it.
            """, valueName: "SIZE"))
    var largest: ByteCount?

    @Option(
        help: ArgumentHelp(
            """
            With '-o -': only these bytes, such as 0-499, 500- for all from byte 500 on, or -500 for the last 500. They \
            are not compared with the digest, which is of all.
            """, valueName: "RANGE"))
    var range: ByteRange?

    @Option(
        help: ArgumentHelp(
            """
            Requests for pieces of each blob at a time, 1 to 16: faster where one connection is slow, with 8 MiB of memory \
            for each.
            """, valueName: "N"))
    var streams = 1

    @Flag(help: "Where several of your files have a name, take the newest. Without it, that is an error.")
    var newest = false

    @Flag(help: "Download nothing; print what would be, and where to.")
    var dryRun = false

    @Option(
        name: .shortAndLong, help: ArgumentHelp("How many blobs are downloaded at a time, 1 to 64.", valueName: "N"))
    var jobs = 4

    @OptionGroup var transferFlags: TransferFlags
    @OptionGroup var reportFlags: ReportFlags
    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        try validateJobs(jobs)
        if blobs.isEmpty && match.isEmpty { throw ValidationError("Which blob? Name one, or give --match PATTERN.") }
        if recursive && !match.isEmpty { throw ValidationError("--recursive and --match exclude each other.") }
        do {
            for blob in blobs where !recursive { _ = try BlobReference(parsing: blob) }
        } catch {
            throw ValidationError("\(error)")
        }
        guard (1...16).contains(streams) else { throw ValidationError("--streams is a number from 1 to 16.") }
        if range != nil && (output != "-" || dryRun) {
            throw ValidationError("--range is for what goes to standard output: give '-o -'.")
        }
        if output == "" { throw ValidationError("--output: which file?") }
        if output == "-" && reportFlags.json { throw ValidationError("--json needs standard output for itself.") }
    }

    func run() async throws {
        let target = try DownloadTarget(output, isForSeveral: blobs.count > 1 || !match.isEmpty || recursive)
        let reporter = reportFlags.reporter()
        let given = try serverFlags.given()
        let shares =
            try recursive
            ? [Share(choice: given.choice(), folders: blobs)] : Share.all(blobs, match, given)
        let (jobs, force, trustNames, newest, dryRun) = (jobs, force, trustNames, newest, dryRun)
        var configuration = transferFlags.configuration(connections: 2 * jobs * streams)
        configuration.downloadStreams = streams
        if let largest { configuration.unannouncedByteLimit = largest.bytes }
        let transport = configuration
        let range = range
        if !dryRun { try target.prepare() }
        if match.isEmpty && !recursive { reporter.expect(files: blobs.count, bytes: nil) }
        try await Interruption.cancelling {
            try await reporter.telling {
                // One server after the other: each has its own token and certificates.
                for share in shares {
                    try await share.choice.withClient(transport) { client in
                        let downloads = Downloads(
                            from: client, to: target, replaces: force, trustsNames: trustNames, range: range,
                            reporter: reporter)
                        let items = await share.items(of: downloads, takesNewest: newest)
                        if dryRun { return try await downloads.show(items, asJSON: reporter.style == .json) }
                        try await downloads.run(items, jobs: jobs)
                    }
                }
            }
        }
        if dryRun && !reporter.summary.wasInterrupted { return try reporter.succeedOrThrow() }
        let isInterrupted = reporter.summary.wasInterrupted && output != "-"
        reporter.finish(hint: isInterrupted ? "the same command goes on where it stopped" : nil)
        try reporter.succeedOrThrow()
    }
}

/// The downloads from one server.
private struct Share: Sendable {
    let choice: ServerChoice
    var references: [(label: String, reference: BlobReference)] = []
    var patterns: [FilePattern] = []
    var folders: [String] = []

    /// - Throws: ``UsageProblem`` when a server is needed and none is known.
    static func all(_ blobs: [String], _ patterns: [FilePattern], _ given: GivenSettings) throws -> [Share] {
        var shares: [Share] = []
        for blob in blobs {
            let reference = try BlobReference(parsing: blob)
            let choice =
                if case .url(let address, _) = reference { try given.choice(at: address) } else { try given.choice() }
            // A name may hold any character; an address may hold a signature.
            let label = if case .url = reference { blob.withoutCredentials } else { blob }
            shares[index(of: choice, in: &shares)].references.append((label, reference))
        }
        if !patterns.isEmpty { shares[index(of: try given.choice(), in: &shares)].patterns = patterns }
        return shares
    }

    private static func index(of choice: ServerChoice, in shares: inout [Share]) -> Int {
        if let index = shares.firstIndex(where: { $0.choice == choice }) { return index }
        shares.append(Share(choice: choice))
        return shares.count - 1
    }

    /// The blobs that are meant. A word or pattern that means none is reported as failed.
    func items(of downloads: Downloads, takesNewest: Bool) async -> [Downloads.Item] {
        var items: [Downloads.Item] = []
        for (label, reference) in references {
            await report(label, downloads.reporter) {
                items.append(try await downloads.item(reference, label, takesNewest: takesNewest))
            }
        }
        for folder in folders {
            await report(folder, downloads.reporter) {
                let found = try await downloads.items(below: folder)
                if found.isEmpty { throw Problem("none of your files came from a folder of that path") }
                items += found
            }
        }
        guard !patterns.isEmpty else { return items }
        await report(patterns.map(\.text).joined(separator: " "), downloads.reporter) {
            let found = try await downloads.items(matching: patterns)
            if found.isEmpty { throw Problem("none of your files matches") }
            items += found
        }
        return items
    }

    private func report(_ label: String, _ reporter: TransferReporter, _ find: () async throws -> Void) async {
        do {
            try await find()
        } catch {
            reporter.end(reporter.start(label), with: error)
        }
    }
}

extension Downloads {
    /// The output of a dry run: results as they would be.
    fileprivate func show(_ items: [Item], asJSON: Bool) async throws {
        for item in items {
            let path = try await path(of: item)?.string ?? "-"
            if asJSON {
                var event = ReportedEvent(.wouldDownload, path: path)
                event.digest = item.digest.hex
                try JSONLines.print(event)
            } else {
                try Output.write("\(item.digest)  \(DisplayText.safe(path))\n")
            }
        }
    }
}
