// The command line of blob, and what its exit codes mean.

import ArgumentParser
import BlobClient
import Glibc
import Program

@main
struct BlobCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blob",
        abstract: "Uploads files to a blob server, and downloads them by digest or name.",
        discussion: """
            To begin: 'blob login --server https://files.example.com:8887', which asks for your token; then 'blob \
            upload FILE', 'blob list' and 'blob download NAME'.

            The server is the one that --server names, or else BLOB_SERVER, or else the default of those that \
            'blob login' has stored. The token is read from the file that --token-file names, or else from BLOB_TOKEN, \
            or else it is the stored one of this very server.

            Servers and tokens are stored in ~/.config/blob/servers.json, and notes on unfinished uploads in \
            ~/.local/state/blob/uploads, or where XDG_CONFIG_HOME and XDG_STATE_HOME say.

            Exit codes: 0 all is done, 1 something failed, 2 the command line or the settings are wrong, 130 \
            interrupted.
            """,
        version: "0.1.0",
        subcommands: [
            UploadCommand.self, DownloadCommand.self, ListCommand.self, FindCommand.self, InfoCommand.self,
            DeleteCommand.self, StatusCommand.self, CancelCommand.self, ResumeCommand.self, HashCommand.self,
            LoginCommand.self, LogoutCommand.self,
        ]
    )

    static var _errorPrefix: String { "blob: " }

    static func main() async {
        requireCommandLine(of: "blob")
        Interruption.watch()
        Glibc.exit(await run())
    }

    private static func run() async -> CInt {
        do {
            var command = try await asyncParseAsRoot()
            if var asyncCommand = command as? any AsyncParsableCommand {
                try await asyncCommand.run()
            } else {
                try command.run()
            }
            return 0
        } catch let problem as UsageProblem {
            Console.complain(problem.description)
            return 2
        } catch let code as ExitCode {
            return code.rawValue
        } catch is CancelledTransfers {
            return Interruption.exitCode ?? 1
        } catch is ClosedOutput {
            endAsABrokenPipeDoes()
        } catch is CancellationError {
            Console.complain("interrupted")
            return Interruption.exitCode ?? 1
        } catch let error as BlobClientError {
            Console.complain(ErrorText(error).whole)
            return 1
        } catch let problem as Problem {
            Console.complain(problem.description)
            return 1
        } catch {
            return answer(toParsing: error)
        }
    }

    /// Help and versions, which were asked for, and command lines that nobody can run.
    private static func answer(toParsing error: any Error) -> CInt {
        let text = fullMessage(for: error)
        if exitCode(for: error) == .success {
            do {
                if !text.isEmpty { try Output.write(text + "\n") }
                return 0
            } catch is ClosedOutput {
                endAsABrokenPipeDoes()
            } catch {
                Console.complain("\(error)")
                return 1
            }
        }
        Output.tell(text)
        return 2
    }

    /// Whoever read standard output has gone: ends like every other tool then.
    private static func endAsABrokenPipeDoes() -> Never {
        signal(SIGPIPE, SIG_DFL)
        raise(SIGPIPE)
        _exit(128 + SIGPIPE)
    }
}

/// Why a command cannot do its work, with one line that says what would be right. Ends with exit code 1.
struct Problem: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A command line or settings that cannot be meant. Ends with exit code 2.
struct UsageProblem: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Transfers that a signal ended, which has been told already.
struct CancelledTransfers: Error {}

extension Console {
    /// Tells a problem, on lines of its own. Words of a command line or a server may be in them.
    static func complain(_ problem: String) {
        let lines = problem.split(separator: "\n", omittingEmptySubsequences: false)
        complain(lines.map { DisplayText.safe($0) }.joined(separator: "\n"), as: "blob")
    }
}
