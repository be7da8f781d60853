// `blob hash`: digests as a server would name the files, without any server.

import ArgumentParser
import BlobClient
import BlobCore
import Crypto
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
            let file = try PathArgument.path(path)
            do {
                let digest = path == "-" ? try await standardInput() : try await BlobServiceClient.digest(ofFile: file)
                if json {
                    try JSONLines.print(["digest": digest.hex, "path": path])
                } else {
                    // As it was given, not as a path is written best.
                    let name = file == FilePath(path) ? Array(path.utf8) : file.bytes
                    let line = Self.line(digest, name, isShown: Terminal.isTerminal(.standardOutput))
                    try (line + [UInt8(ascii: "\n")]).withUnsafeBytes { try Output.write($0) }
                }
            } catch let error as BlobClientError {
                hasFailed = true
                Console.complain("\(DisplayText.safe(path)): \(ErrorText(error, isNamed: true).whole)")
            }
        }
        if hasFailed { throw ExitCode.failure }
    }

    private func standardInput() async throws -> BlobDigest {
        var hash = SHA256()
        while let bytes = try await StandardInput.next() {
            bytes.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
        }
        return BlobDigest(hash.finalize())
    }

    /// As sha256sum writes it, which marks a line that holds escapes with a backslash at its beginning.
    ///
    /// - Parameter isShown: whether a person looks at it.
    static func line(_ digest: BlobDigest, _ name: [UInt8], isShown: Bool) -> [UInt8] {
        let escaped = name.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "\\"): Array(#"\\"#.utf8)
            case UInt8(ascii: "\n"): Array(#"\n"#.utf8)
            case UInt8(ascii: "\r"): Array(#"\r"#.utf8)
            default: [byte]
            }
        }
        let mark = escaped.count == name.count ? "" : "\\"
        let text = isShown ? Array(DisplayText.safe(String(decoding: escaped, as: UTF8.self)).utf8) : escaped
        return Array("\(mark)\(digest.hex)  ".utf8) + text
    }
}
