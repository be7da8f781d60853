// `blobd config`: what the server would run with, and why.

import ArgumentParser
import Program

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show the effective settings and where each came from.",
        usage: "blobd config [<settings>]"
    )

    @OptionGroup(title: "Settings") var flags: SettingFlags

    func run() async throws {
        let effective = try Settings.effective(flags: flags.given)
        // Also refuses what the server would refuse.
        _ = try Settings(effective)
        try Console.tell(Self.table(effective))
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
