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
        do {
            var command = try await asyncParseAsRoot()
            if var asyncCommand = command as? any AsyncParsableCommand {
                try await asyncCommand.run()
            } else {
                try command.run()
            }
        } catch let error as SettingsError {
            error.problems.forEach(Console.complain)
            exit(withError: ExitCode.validationFailure)
        } catch let error as BlobError {
            Console.complain(error.message)
            exit(withError: ExitCode.failure)
        } catch {
            exit(withError: error)
        }
    }
}

extension Console {
    static func complain(_ problem: String) { complain(problem, as: "blobd") }
}
