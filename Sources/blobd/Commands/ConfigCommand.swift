// `blobd config`: the settings that the server would run with, and their sources.

import ArgumentParser
import Logging
import Program

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show the effective settings and where each came from.",
        usage: "blobd config [--check] [<settings>]",
        discussion: """
            With --check it tries everything that a start needs, and tells all that is in the way at once: files, \
            certificate and key, the address, the data directory or the database and the bucket. Nothing is made or \
            changed. Run it as the user that the server runs as.

            Exit codes: 0 all is well, 64 the settings are wrong, 1 a file that they name is not there, or with --check \
            something else is in the way.
            """
    )

    @Flag(help: "Try what a start needs, instead of showing the settings.")
    var check = false

    @OptionGroup(title: "Settings") var flags: SettingFlags

    func run() async throws {
        let effective = try Settings.effective(flags: flags.given)
        // Also refuses settings that the server would refuse.
        let settings = try Settings(effective)
        if check {
            try await check(settings)
        } else {
            try Console.tell(Self.table(effective))
            try require(settings.namedFiles.compactMap(\.absence))
        }
    }

    private func check(_ settings: Settings) async throws {
        // The storage's own lines say why something cannot be reached.
        let log = LineLogHandler.bootstrap(level: .warning, format: settings.logFormat)
        let findings = await StartCheck(settings: settings, logger: Logger(label: "blobd")).run()
        log.drain()
        findings.remarks.forEach(Console.complain)
        try require(findings.problems)
        try Console.tell("Nothing is in the way of a start with these settings.")
    }

    private func require(_ problems: [String]) throws {
        problems.forEach(Console.complain)
        guard problems.isEmpty else { throw ExitCode.failure }
    }

    static func table(_ effective: EffectiveSettings) -> String {
        alignedTable(
            Setting.allCases.map { setting in
                guard let entry = effective[setting] else { return [setting.rawValue, "-", "not set"] }
                return [setting.rawValue, setting.isSecret ? "(hidden)" : entry.text, entry.origin.description]
            }
        )
    }
}
