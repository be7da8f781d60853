// `blob status`, `blob cancel` and `blob resume`: uploads that earlier runs have left unfinished.

import ArgumentParser
import BlobClient
import BlobCore
import Foundation
import Program
import SystemPackage

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Tell how far uploads have come.",
        discussion: "Without an id, of all uploads that earlier runs have left unfinished and nobody works on."
    )

    @Argument(
        help: ArgumentHelp("The id of an upload, as 'blob status' alone tells it.", valueName: "UPLOAD"),
        completion: Completions.uploads)
    var upload: String?

    @Flag(help: "Print JSON, an object on a line for each upload.")
    var json = false

    @OptionGroup var serverFlags: ServerFlags

    func validate() throws { _ = try upload.map(uploadID) }

    func run() async throws {
        let given = try serverFlags.given()
        let entries = UploadJournal.standard.entries()
        guard let id = try upload.map(uploadID) else {
            var states: [UploadState] = []
            for entry in entries { states.append(try await UploadState(of: entry, given)) }
            if states.isEmpty && !json { return Output.tell("Nothing is unfinished.") }
            return try show(states)
        }
        if let entry = entries.first(where: { $0.upload == id }) {
            return try show([try await UploadState(of: entry, given)])
        }
        let status = try await given.choice().withClient(.asking) { try await $0.status(of: id) }
        try show([UploadState(status, on: try given.choice().address)])
    }

    private func show(_ states: [UploadState]) throws {
        if json { return try states.forEach { try JSONLines.print($0) } }
        try Output.write(alignedTable([UploadState.heading] + states.map(\.cells)) + "\n")
    }
}

/// An upload, as the journal and its server know it.
struct UploadState: Encodable {
    var upload: String
    var server: String
    var path: String?
    var size: Int64?
    /// The bytes that are safe on the server.
    var offset: Int64?
    var expires: Date?
    var updated: Date?
    var error: ReportedEvent.Failure?
    private var remark: String?

    private enum CodingKeys: CodingKey {
        case upload, server, path, size, offset, expires, updated, error
    }

    static let heading = ["upload", "on the server", "size", "file"]

    init(_ status: UploadStatus, on server: String) {
        (upload, self.server) = (status.id.description, server)
        (offset, expires) = (status.offset, status.expires)
    }

    /// - Throws: ``UsageProblem`` for settings that cannot be used. The server's errors are a part of the state.
    init(of entry: UploadJournal.Entry, _ given: GivenSettings) async throws {
        (upload, server, path) = (entry.upload.description, entry.server, entry.path.string)
        (size, updated) = (entry.size, entry.updated)
        do {
            let status = try await given.choice(at: entry.server).withClient(.asking) {
                try await $0.status(of: entry.upload)
            }
            (offset, expires) = (status.offset, status.expires)
        } catch BlobClientError.refused(let refusal) where refusal.status == 404 {
            remark = "gone, begins anew"
        } catch let problem as UsageProblem {
            throw problem
        } catch {
            self.error = ReportedEvent.Failure(error)
            remark = DisplayText.safe("\(error)")
        }
    }

    var cells: [String] {
        [
            upload, remark ?? offset.map(sizeText) ?? "-", size.map(sizeText) ?? "-",
            DisplayText.safe(path ?? "on \(server)"),
        ]
    }
}

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Give unfinished uploads up: the server drops what it has received.",
        discussion: "What another process uploads right now is refused."
    )

    @Argument(
        help: ArgumentHelp("Ids of uploads, as 'blob status' tells them.", valueName: "UPLOAD"),
        completion: Completions.uploads)
    var uploads: [String]

    @Flag(help: "Print JSON, an object on a line for each upload.")
    var json = false

    @OptionGroup var serverFlags: ServerFlags

    func validate() throws { _ = try uploads.map(uploadID) }

    func run() async throws {
        let given = try serverFlags.given()
        let entries = UploadJournal.standard.entries()
        let areAllDone = try await OneByOne(json: json, done: .cancelled, word: "cancelled").run(uploads) { text in
            let id = try uploadID(text)
            guard let entry = entries.first(where: { $0.upload == id }) else {
                if UploadJournal.standard.isInUse(id) {
                    throw Problem("another process works on it; end that first, with SIGINT")
                }
                return try await given.choice().withClient(.asking) { try await $0.destroy(id) }
            }
            try await entry.destroy(given)
            UploadJournal.standard.remove(entry)
        }
        if !areAllDone { throw ExitCode.failure }
    }
}

extension UploadJournal.Entry {
    /// Gives the upload up; nothing when its server has forgotten it.
    fileprivate func destroy(_ given: GivenSettings) async throws {
        do {
            try await given.choice(at: server).withClient(.asking) { try await $0.destroy(upload) }
        } catch BlobClientError.refused(let refusal) where refusal.status == 404 {}
    }
}

struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Finish the uploads that earlier runs have left.",
        discussion: """
            Each goes on where it stopped, on its own server. A file that was changed meanwhile is uploaded anew; the \
            upload of one that is gone is given up.
            """
    )

    @Argument(
        help: ArgumentHelp("Finish only the uploads of these files.", valueName: "PATH"),
        completion: Completions.unfinishedFiles)
    var paths: [String] = []

    @Option(name: .shortAndLong, help: ArgumentHelp("How many files are uploaded at a time, 1 to 64.", valueName: "N"))
    var jobs = 4

    @OptionGroup var transferFlags: TransferFlags
    @OptionGroup var reportFlags: ReportFlags
    @OptionGroup var serverFlags: ServerFlags

    func validate() throws { try validateJobs(jobs) }

    func run() async throws {
        let reporter = reportFlags.reporter()
        let (given, jobs) = (try serverFlags.given(), jobs)
        let configuration = transferFlags.configuration(connections: 2 * jobs)
        let entries = try chosen(reporter)
        reporter.expect(files: entries.count, bytes: entries.reduce(0) { $0 + $1.size })
        // One server after the other: each has its own token and certificates.
        let servers = try Dictionary(grouping: entries, by: \.server).sorted { $0.key < $1.key }.map {
            (choice: try given.choice(at: $0.key), entries: $0.value)
        }
        try await Interruption.cancelling {
            try await reporter.telling {
                for server in servers {
                    try await Self.resume(
                        server.entries, on: server.choice, given, configuration, jobs: jobs, reporter)
                }
            }
        }
        let isInterrupted = reporter.summary.wasInterrupted
        reporter.finish(hint: isInterrupted ? "'blob resume' goes on where it stopped" : nil)
        try reporter.succeedOrThrow()
    }

    /// The uploads to finish. A path without an unfinished upload is reported as failed.
    private func chosen(_ reporter: TransferReporter) throws -> [UploadJournal.Entry] {
        let entries = UploadJournal.standard.entries()
        guard !paths.isEmpty else { return entries }
        let wanted = try PathArgument.paths(paths).map { (path: $0.string, absolute: $0.absolute) }
        for (path, absolute) in wanted where !entries.contains(where: { $0.path == absolute }) {
            let problem = "no upload of it was left unfinished, or another process works on it"
            reporter.end(reporter.start(path), with: BlobClientError.file(path: path, problem: problem))
        }
        return entries.filter { entry in wanted.contains { $0.absolute == entry.path } }
    }

    private static func resume(
        _ entries: [UploadJournal.Entry], on choice: ServerChoice, _ given: GivenSettings,
        _ configuration: BlobServiceClient.Configuration, jobs: Int, _ reporter: TransferReporter
    ) async throws {
        try await choice.withClient(configuration) { client in
            let queue = WorkQueue(entries)
            await reporter.work(jobs: jobs, next: { queue.next() }) { await finish($0, on: client, given, reporter) }
            if !queue.isEmpty { reporter.endEarly() }
        }
    }

    private static func finish(
        _ entry: UploadJournal.Entry, on client: BlobServiceClient, _ given: GivenSettings, _ reporter: TransferReporter
    ) async {
        guard !isGone(entry.path) else {
            let id = reporter.start(entry.path.string)
            do {
                try await entry.destroy(given)
                UploadJournal.standard.remove(entry)
                let problem = "is gone; its upload was given up"
                reporter.end(id, with: BlobClientError.file(path: entry.path.string, problem: problem))
            } catch {
                reporter.end(id, with: error)
            }
            return
        }
        await Uploads(client: client, options: entry.options, reporter: reporter).resume(entry)
    }

    /// `false` also for a file that cannot be looked at, such as on a disk that does not answer: it may come again.
    private static func isGone(_ path: FilePath) -> Bool {
        do {
            _ = try path.stat()
            return false
        } catch {
            return [.noSuchFileOrDirectory, .notDirectory].contains(error)
        }
    }
}

/// - Throws: `ValidationError` for a word that is no id of an upload.
private func uploadID(_ text: String) throws -> UploadID {
    guard let id = UploadID(parsing: text) else {
        throw ValidationError("'\(DisplayText.safe(text))' is no id of an upload, which 'blob status' tells.")
    }
    return id
}
