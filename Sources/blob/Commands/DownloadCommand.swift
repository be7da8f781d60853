// `blob download`: a blob into a file, or to standard output.

import ArgumentParser
import BlobClient
import BlobCore
import Foundation
import NIOCore
import NIOPosix

struct DownloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "download",
        abstract: "Download a blob and compare its bytes with its digest.",
        discussion: """
            The bytes go to a hidden file beside the target, which gets its name only when all of them are there and \
            right; run again, the same command goes on with it. What goes to standard output is compared too, but by \
            then it has been read: look at the exit code.
            """
    )

    @Argument(help: ArgumentHelp("64 hexadecimal digits, with or without 'sha256:' before them.", valueName: "DIGEST"))
    var digest: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Where to: a file, a folder, or '-' for standard output. Without it, the name that the server proposes.",
            valueName: "FILE"),
        completion: .file())
    var output: String?

    @Flag(name: .shortAndLong, help: "Put it in the place of a file that is there.")
    var force = false

    @OptionGroup var reportFlags: ReportFlags
    @OptionGroup var serverFlags: ServerFlags

    func validate() throws {
        do {
            _ = try BlobDigest(parsing: digest)
        } catch {
            throw ValidationError(error.message)
        }
        if output == "" { throw ValidationError("--output: which file?") }
        if output == "-" && reportFlags.json { throw ValidationError("--json needs standard output for itself.") }
    }

    func run() async throws {
        let reporter = TransferReporter(style: reportFlags.style)
        let digest = try BlobDigest(parsing: digest)
        let (output, force) = (output, force)
        let choice = try serverFlags.given().choice()
        reporter.expect(files: 1, bytes: nil)
        try await Interruption.cancelling {
            try await choice.withServer(patience: .long) { server in
                let download = Download(server: server, digest: digest, force: force, reporter: reporter)
                try await reporter.telling {
                    await Result.of {
                        if output == "-" {
                            try await download.toStandardOutput()
                        } else {
                            try await download.to(output)
                        }
                    }
                }.get()
            }
        }
        let isInterrupted = reporter.summary.wasInterrupted && output != "-"
        reporter.finish(hint: isInterrupted ? "the same command goes on where it stopped" : nil)
        try reporter.succeedOrThrow()
    }
}

private struct Download: Sendable {
    let server: BlobServer
    let digest: BlobDigest
    let force: Bool
    let reporter: TransferReporter

    func toStandardOutput() async throws {
        let id = reporter.start(digest.hex)
        do {
            try await server.download(digest, progress: { reporter.note($0, of: id) }) { bytes in
                try await NIOThreadPool.singleton.runIfActive { try bytes.withUnsafeReadableBytes(Output.write) }
            }
            reporter.endQuietly(id)
        } catch let closed as ClosedOutput {
            throw closed
        } catch {
            reporter.end(id, with: error)
        }
    }

    /// - Parameter output: a file or a folder; `nil` for the current folder.
    func to(_ output: String?) async throws {
        let id = reporter.start(output ?? digest.hex)
        do {
            let path = try await target(output)
            reporter.rename(id, path)
            var result = TransferResult(digest: digest.hex, rest: [path])
            if try await holdsDigest(path, id) {
                result.wasThere = true
            } else {
                try await server.download(digest, to: path) { reporter.note($0, of: id) }
                result.size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber)?.int64Value
            }
            reporter.end(id, with: result)
        } catch {
            reporter.end(id, with: error)
        }
    }

    private func target(_ output: String?) async throws -> String {
        if let output, !isFolder(output) { return output }
        guard let blob = try await server.blob(digest) else {
            throw BlobServerError.refused(
                ServerRefusal(status: 404, code: "BLOB_UNKNOWN", message: "it has no blob with this digest"))
        }
        let name = blob.name ?? digest.hex
        return output.map { $0.hasSuffix("/") ? $0 + name : $0 + "/" + name } ?? name
    }

    private func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    /// Whether the file is there already, with these bytes.
    ///
    /// - Throws: when it is another one, and may not be replaced.
    private func holdsDigest(_ path: String, _ id: Int) async throws -> Bool {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else { return false }
        guard [.typeRegular, .typeSymbolicLink].contains(attributes[.type] as? FileAttributeType) else {
            throw BlobServerError.file(path: path, problem: "is no regular file; '-o -' writes to standard output")
        }
        reporter.remark("is there; computing its digest", on: id)
        if (try? await BlobServer.digest(ofFile: path)) == digest { return true }
        try Task.checkCancellation()
        guard force else { throw BlobServerError.file(path: path, problem: "is there already; --force replaces it") }
        return false
    }
}

extension Result where Failure == any Error {
    fileprivate static func of(_ body: () async throws -> Success) async -> Self {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
