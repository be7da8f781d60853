// `blob upload`: files, folders and standard input.

import ArgumentParser
import BlobClient

struct UploadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upload",
        abstract: "Upload files; print the digest and the URL of each.",
        discussion: """
            An upload that was interrupted, in whatever way, goes on where it stopped when the same command is run \
            again, or 'blob resume'. A file that was changed meanwhile is uploaded anew.

            Each file's line on standard output is 'DIGEST  URL  PATH', in the order in which they are done; on a \
            terminal 'DIGEST  PATH', as much as fits. 'blob info DIGEST' tells the URL.
            """
    )

    @Argument(
        help: ArgumentHelp("Files, folders with --recursive, or '-' for standard input.", valueName: "PATH"),
        completion: .file())
    var paths: [String]

    @Flag(name: .shortAndLong, help: "Upload the files in folders; symbolic links in them are passed over.")
    var recursive = false

    @Option(name: .shortAndLong, help: ArgumentHelp("How many files are uploaded at a time, 1 to 64.", valueName: "N"))
    var jobs = 4

    @Option(help: ArgumentHelp("The file's name on the server, if there is one file.", valueName: "NAME"))
    var name: String?

    @Flag(help: "Let the server remove the files after a time.")
    var temporary = false

    @Flag(
        help: """
            Send nothing of a file whose bytes one of your own files on the server has, a permanent one; with \
            --temporary also one with half of its life before it. Needs a token that may list files.
            """)
    var skipExisting = false

    @OptionGroup var reportFlags: ReportFlags
    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        try validateJobs(jobs)
        if paths.count(where: { $0 == "-" }) > 1 { throw ValidationError("Standard input can be uploaded once.") }
        if name != nil && (paths.count > 1 || recursive) { throw ValidationError("--name is for a single file.") }
        if skipExisting && paths.contains("-") {
            throw ValidationError("--skip-existing needs the digest first, and standard input cannot be read twice.")
        }
    }

    func run() async throws {
        let reporter = reportFlags.reporter()
        let options = UploadOptions(name: name, isTemporary: temporary)
        let (paths, recursive, jobs, skipExisting) = (paths, recursive, jobs, skipExisting)
        let choice = try serverFlags.given().choice()
        try await Interruption.cancelling {
            try await choice.withServer(patience: .long, connections: 2 * jobs) { server in
                let uploads = Uploads(
                    server: server, options: options,
                    existing: skipExisting ? OwnFiles(on: server, reporter: reporter) : nil, reporter: reporter)
                try await reporter.telling {
                    async let counting: Void = uploads.count(FileWalk(paths, isRecursive: recursive))
                    await uploads.run(FileWalk(paths, isRecursive: recursive), jobs: jobs)
                    await counting
                }
            }
        }
        reporter.finish(hint: reporter.summary.wasInterrupted ? hint : nil)
        try reporter.succeedOrThrow()
    }

    /// How to go on after an interruption.
    private var hint: String {
        if paths == ["-"] { return "a stream cannot be gone on with: the same command begins anew" }
        if paths.count == 1 && !recursive { return "the same command, or 'blob resume', goes on where it stopped" }
        return "'blob resume' goes on with what was begun, and the same command with --skip-existing does the rest"
    }
}

func validateJobs(_ jobs: Int) throws {
    guard (1...64).contains(jobs) else { throw ValidationError("--jobs is a number from 1 to 64.") }
}
