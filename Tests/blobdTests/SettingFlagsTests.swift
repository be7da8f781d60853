// The command line agrees with the table of settings.

import ArgumentParser
import Testing

@testable import blobd

struct SettingFlagsTests {
    @Test(arguments: Setting.allCases.filter { !$0.isSecret })
    func everySettingHasItsFlag(setting: Setting) throws {
        let isSwitch = setting.row.form == Bool.form
        let arguments = isSwitch ? [setting.flag] : [setting.flag, "given"]
        #expect(try SettingFlags.parse(arguments).given == [setting: isSwitch ? "true" : "given"])
        if isSwitch {
            let negation = "--no-" + setting.rawValue
            #expect(try SettingFlags.parse([negation]).given == [setting: "false"])
        } else {
            #expect(try SettingFlags.parse(["\(setting.flag)=a,b c"]).given == [setting: "a,b c"])
        }
    }

    @Test(arguments: Setting.allCases.filter(\.isSecret))
    func secretsHaveNoFlag(setting: Setting) throws {
        #expect(throws: (any Error).self) { try SettingFlags.parse([setting.flag, "given"]) }
        let effective = try EffectiveSettings(flags: [:], environment: [setting.environmentName: "open sesame"])
        #expect(!ConfigCommand.table(effective).contains("sesame"))
        #expect(ConfigCommand.table(effective).contains("(hidden)"))
    }

    @Test func helpShowsEverySetting() {
        let help = ServeCommand.helpMessage(columns: 400)
        for setting in Setting.allCases where !setting.isSecret {
            #expect(help.contains("  \(setting.flag)"))
            #expect(help.contains(setting.row.summary))
            if let standard = setting.row.standard {
                #expect(help.contains("\(setting.row.summary) (default: \(standard))"))
            }
        }
    }

    @Test(arguments: Setting.allCases)
    func rowsAreWellFormed(setting: Setting) {
        let row = setting.row
        #expect(row.summary.hasSuffix("."))
        #expect(row.standard.map { row.parse($0) != nil } ?? true, "the default must be a value")
        #expect(
            setting.environmentName.utf8.allSatisfy {
                $0 == UInt8(ascii: "_") || 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0
            })
    }

    @Test func nothingGiven() throws {
        #expect(try SettingFlags.parse([]).given == [:])
        #expect(try DataFlags.parse(["--data", "/x", "--config", "y"]).given == [.data: "/x", .config: "y"])
    }

    @Test(arguments: [
        (["--qutoa", "1"], "Unknown option '--qutoa'. Did you mean '--quota'?"),
        (["--quota"], "Missing value for '--quota <SIZE|none>'"),
        (["stray"], "Unexpected argument 'stray'"),
    ])
    func wrongCommandLines(arguments: [String], message: String) throws {
        let error = #expect(throws: (any Error).self) { try RootCommand.parseAsRoot(["serve"] + arguments) }
        let thrown = try #require(error)
        #expect(RootCommand.message(for: thrown) == message)
        #expect(RootCommand.exitCode(for: thrown).rawValue == 64)
        #expect(RootCommand.fullMessage(for: thrown).hasPrefix("blobd: \(message)\n"))
    }

    @Test func servesByDefault() throws {
        let command = try #require(try RootCommand.parseAsRoot(["--data", "/x"]) as? ServeCommand)
        #expect(command.flags.given == [.data: "/x"])
        #expect(try RootCommand.parseAsRoot([]) is ServeCommand)
        #expect(try RootCommand.parseAsRoot(["config"]) is ConfigCommand)
    }

    @Test func configTable() async throws {
        let effective = try EffectiveSettings(
            flags: [.quota: "1GB"], environment: ["BLOBD_LISTEN": "localhost:1"]
        )
        let lines = ConfigCommand.table(effective).split(separator: "\n")
        #expect(lines.count == Setting.allCases.count)
        #expect(lines[0] == "data                          ./data       default")
        #expect(lines.contains("listen                        localhost:1  BLOBD_LISTEN"))
        #expect(lines.contains("config                        -            not set"))
        #expect(lines.contains("quota                         1GB          flag"))
    }

    @Test(arguments: [
        ("max-blobsize", Setting.maxBlobSize), ("LISTEN", .listen), ("tls.key", .tlsKey),
        ("BODY_TIMEOUT", .bodyTimeout),
        ("logformat", .logFormat),
    ])
    func nearestSetting(key: String, setting: Setting) {
        #expect(Setting.nearest(to: key) == setting)
    }

    @Test(arguments: ["", "x", "something-else-entirely"])
    func nothingNear(key: String) {
        #expect(Setting.nearest(to: key) == nil)
    }
}
