// `blob upload`: files, folders and standard input.

import ArgumentParser
import BlobClient
import BlobCore
import SystemPackage

struct UploadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upload",
        abstract: "Upload files; print the digest and the URL of each.",
        discussion: """
            An upload that was interrupted, in whatever way, goes on where it stopped when the same command is run \
            again, or 'blob resume'. A file that was changed meanwhile is uploaded anew.

            A file of a folder keeps its path there, from the folder's own name on. What you have on the server under the \
            same path with the same bytes is not sent again. 'blob download --recursive' brings a folder back.

            A name that the server cannot hold (no UTF-8, '\\', characters that nobody sees, such as those that turn the \
            direction of text) goes up with '%XX' for each such byte; --name gives a single file another.

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

    @Flag(help: "Send also what you have on the server under the same path.")
    var again = false

    @Flag(help: "Refuse names that the server cannot hold.")
    var strictNames = false

    @OptionGroup var transferFlags: TransferFlags
    @OptionGroup var reportFlags: ReportFlags
    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        try validateJobs(jobs)
        if paths.count(where: { $0 == "-" }) > 1 { throw ValidationError("Standard input can be uploaded once.") }
        if name != nil && (paths.count > 1 || recursive) { throw ValidationError("--name is for a single file.") }
        if let name { try Self.validate(name: name) }
        if again && skipExisting { throw ValidationError("--again and --skip-existing exclude each other.") }
        if skipExisting && paths.contains("-") {
            throw ValidationError("--skip-existing needs the digest first, and standard input cannot be read twice.")
        }
    }

    /// - Throws: `ValidationError` for a name that every server would refuse.
    private static func validate(name: String) throws {
        guard let path = try? PathArgument.path(name), String(validating: path) != nil else {
            throw ValidationError("--name: the name is no UTF-8: give it in another form.")
        }
        if let hidden = HiddenCharacter.first(in: name) {
            throw ValidationError("--name: the name holds \(hidden), which nobody would see there: leave it out.")
        }
    }

    func run() async throws {
        let reporter = reportFlags.reporter()
        let options = UploadOptions(name: name, isTemporary: temporary)
        let (recursive, jobs) = (recursive, jobs)
        let configuration = transferFlags.configuration(connections: 2 * jobs)
        let (skipExisting, again, strictNames) = (skipExisting, again, strictNames)
        let paths = try PathArgument.paths(paths)
        let choice = try serverFlags.given().choice()
        try await Interruption.cancelling {
            try await choice.withClient(configuration) { client in
                let sparing: Sparing =
                    if skipExisting {
                        .sameBytes(OwnFiles(on: client, reporter: reporter))
                    } else if recursive && !again {
                        .samePlace(OwnFiles(on: client, holding: FileWalk.folder(of: paths), reporter: reporter))
                    } else {
                        .nothing
                    }
                let uploads = Uploads(
                    client: client, options: options, sparing: sparing, hasStrictNames: strictNames,
                    reporter: reporter)
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
        if paths.count == 1 || recursive { return "the same command, or 'blob resume', goes on where it stopped" }
        return "'blob resume' goes on with what was begun, and the same command with --skip-existing does the rest"
    }
}

func validateJobs(_ jobs: Int) throws {
    guard (1...64).contains(jobs) else { throw ValidationError("--jobs is a number from 1 to 64.") }
}
