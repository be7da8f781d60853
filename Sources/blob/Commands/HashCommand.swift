// `blob hash`: digests as a server would name the files, without any server.

import ArgumentParser
import BlobClient
import BlobCore
import NIOCore
import Program
import SystemPackage

struct HashCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hash",
        abstract: "Print the digests of files, as a server would name them.",
        discussion: "Prints what 'sha256sum' prints, and what 'sha256sum --check' reads. Needs no server."
    )

    @Argument(help: ArgumentHelp("Files, or '-' for standard input.", valueName: "PATH"), completion: .file())
    var paths: [String]

    @Flag(help: "Print JSON, an object on a line for each file.")
    var json = false

    func run() async throws {
        var hasFailed = false
        for path in paths {
            do {
                let digest = path == "-" ? try await standardInput() : try await BlobServer.digest(ofFile: path)
                if json {
                    try JSONLines.print(["digest": digest.hex, "path": path])
                } else {
                    try Output.write(Self.line(digest, path, isShown: Terminal.isTerminal(.standardOutput)) + "\n")
                }
            } catch let error as BlobServerError {
                hasFailed = true
                Console.complain("\(DisplayText.safe(path)): \(ErrorText(error, isNamed: true).whole)")
            }
        }
        if hasFailed { throw ExitCode.failure }
    }

    private func standardInput() async throws -> BlobDigest {
        var digest = RunningDigest()
        while let bytes = try await StandardInput.next() { bytes.withUnsafeReadableBytes { digest.update($0) } }
        return digest.digest
    }

    /// As sha256sum writes it, which marks a line that holds escapes with a backslash at its beginning.
    ///
    /// - Parameter isShown: whether a person looks at it.
    static func line(_ digest: BlobDigest, _ path: String, isShown: Bool) -> String {
        let escaped = path.unicodeScalars.map { scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\n": "\\n"
            case "\r": "\\r"
            default: String(scalar)
            }
        }.joined()
        let mark = escaped.unicodeScalars.count == path.unicodeScalars.count ? "" : "\\"
        return "\(mark)\(digest.hex)  \(isShown ? DisplayText.safe(escaped) : escaped)"
    }
}
