// The command line of blobd, and what its exit codes mean.

import ArgumentParser
import BlobCore
import Glibc
import Program

@main
struct RootCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blobd",
        abstract: "A server for blobs: resumable uploads, downloads by SHA-256.",
        discussion: "Without a command it serves; 'blobd serve --help' shows all settings.",
        version: "0.1.0",
        subcommands: [
            ServeCommand.self, ConfigCommand.self, TokenCommand.self, CheckCommand.self, ReclaimCommand.self,
            BackupCommand.self, RestoreCommand.self, MigrateCommand.self,
        ],
        defaultSubcommand: ServeCommand.self
    )

    static var _errorPrefix: String { "blobd: " }

    /// Runs the command that was asked for. Exit codes: 0 when it did its work, 64 when the command line or the
    /// settings are wrong, 1 for everything else.
    static func main() async {
        // SQLite makes its files as readable as it may, and they hold the key of all upload tokens.
        umask(0o077)
        requireCommandLine(of: "blobd")
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
            return ExitCode.success.rawValue
        } catch let code as ExitCode {
            return code.rawValue
        } catch let error as SettingsError {
            error.problems.forEach(Console.complain)
            return ExitCode.validationFailure.rawValue
        } catch let error as BlobError {
            Console.complain(sentence(of: error))
            return ExitCode.failure.rawValue
        } catch {
            return answer(error)
        }
    }

    /// Tells why a command did not do its work; and help and versions, which were asked for.
    private static func answer(_ error: any Error) -> CInt {
        let code = exitCode(for: error)
        guard code == .success else {
            Console.remark(fullMessage(for: error))
            return code.rawValue
        }
        do {
            try Console.tell(fullMessage(for: error))
            return code.rawValue
        } catch {
            Console.complain(error.description)
            return ExitCode.failure.rawValue
        }
    }
}

extension Console {
    static func complain(_ problem: String) { complain(problem, as: "blobd") }
}
