// Where settings come from: flags, then the environment, then a file, then the table.

import BlobCore
import Configuration
import Program
import Synchronization
import SystemPackage

/// Where the value of a setting was found.
enum SettingOrigin: Equatable, Sendable {
    case flag
    case environment(String)
    case file(String)
    case standard
}

extension SettingOrigin: CustomStringConvertible {
    /// As `blobd config` tells it.
    var description: String {
        switch self {
        case .flag: "flag"
        case .environment(let name): name
        case .file(let path): path
        case .standard: "default"
        }
    }

    /// As an error tells it.
    func phrase(for setting: Setting) -> String {
        switch self {
        case .flag: "from the flag \(setting.flag)"
        case .environment(let name): "from the environment variable \(name)"
        case .file(let path): "from the file \(path)"
        case .standard: "by default"
        }
    }
}

/// All problems of the settings, each with the key, its source and the right values.
struct SettingsError: Error, Equatable, CustomStringConvertible {
    let problems: [String]

    init(_ problems: [String]) { self.problems = problems }

    var description: String { problems.joined(separator: "\n") }
}

/// The effective value of every setting and where it came from. Each value is well formed by itself.
struct EffectiveSettings: Sendable {
    struct Entry: Sendable {
        let text: String
        let value: any SettingValue
        let origin: SettingOrigin
    }

    private let entries: [Setting: Entry]

    /// Collects the settings.
    ///
    /// - Throws: ``SettingsError`` for settings that are unknown or malformed, all of them at once.
    init(flags: [Setting: String], environment: [String: String]) throws(SettingsError) {
        var problems = Self.unknownVariables(in: environment)
        var sources = [Source.flags(flags), Source.environment(environment)]
        var entries = [Setting: Entry]()

        if let config = Self.entry(of: .config, in: sources, &problems) {
            entries[.config] = config
            do {
                try sources.append(Source.file(config.text))
            } catch {
                problems += error.problems
            }
        }
        for setting in Setting.allCases where setting != .config {
            entries[setting] = Self.entry(of: setting, in: sources, &problems)
        }
        guard problems.isEmpty else { throw SettingsError(problems) }
        self.entries = entries
    }

    /// A setting's value and its source; `nil` when it was not given and has no default.
    subscript(setting: Setting) -> Entry? { entries[setting] }

    /// The first value that a source has, or the default.
    private static func entry(of setting: Setting, in sources: [Source], _ problems: inout [String]) -> Entry? {
        let row = setting.row
        for source in sources {
            let origin = source.origin(setting)
            let text: String
            do {
                let found = try source.values.value(forKey: [setting.rawValue], type: .string).value
                guard case .string(let found)? = found?.content else { continue }
                text = found
            } catch {
                problems.append("\(setting.rawValue): a list \(origin.phrase(for: setting)) must be \(row.form)")
                return nil
            }
            guard let value = row.parse(text) else {
                let shown = row.isSecret ? "the value" : "'\(text.withoutCredentials)'"
                problems.append("\(setting.rawValue): \(shown) \(origin.phrase(for: setting)) must be \(row.form)")
                return nil
            }
            return Entry(text: text, value: value, origin: origin)
        }
        guard let text = row.standard, let value = row.parse(text) else { return nil }
        return Entry(text: text, value: value, origin: .standard)
    }

    private static func unknownVariables(in environment: [String: String]) -> [String] {
        let known = Set(Setting.allCases.map(\.environmentName))
        return environment.keys.sorted()
            .filter { $0.hasPrefix(Setting.environmentPrefix) && !known.contains($0) && !isServiceLink($0) }
            .map { name in
                let nearest = Setting.nearest(to: String(name.dropFirst(Setting.environmentPrefix.count)))
                return "\(name): no setting of this name (from the environment); "
                    + advice(nearest.map(\.environmentName))
            }
    }

    /// Whether Kubernetes gave the variable to a container because of a service named `blobd`.
    private static func isServiceLink(_ name: String) -> Bool {
        name == "BLOBD_PORT" || name.hasPrefix("BLOBD_PORT_") || name.hasPrefix("BLOBD_SERVICE_")
    }

    /// The right names in the place of an unknown one.
    fileprivate static func advice(_ nearest: String?) -> String {
        nearest.map { "did you mean \($0)?" } ?? "'blobd serve --help' lists all settings"
    }
}

/// One place that settings come from.
private struct Source {
    let values: any ConfigSnapshot
    let origin: (Setting) -> SettingOrigin

    static func flags(_ flags: [Setting: String]) -> Source {
        let values = flags.map { (AbsoluteConfigKey([$0.rawValue]), ConfigValue(.string($1), isSecret: false)) }
        let provider = InMemoryProvider(name: "flags", values: Dictionary(uniqueKeysWithValues: values))
        return Source(values: provider.snapshot()) { _ in .flag }
    }

    static func environment(_ environment: [String: String]) -> Source {
        let provider = EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "blobd")
        return Source(values: provider.snapshot()) { .environment($0.environmentName) }
    }

    static func file(_ path: String) throws(SettingsError) -> Source {
        let text = try read(path)
        // A file of nothing but remarks is a file without settings, though YAML has no mapping for it.
        guard text.split(whereSeparator: \.isNewline).contains(where: isContent) else {
            return Source(values: InMemoryProvider(values: [:]).snapshot()) { _ in .file(path) }
        }

        // The file's provider does not list its keys; but while reading it asks of every key whether it is a secret.
        let keys = KeyRecorder()
        do {
            let options = YAMLSnapshot.ParsingOptions(
                secretsSpecifier: .dynamic { key, _ in
                    keys.note(key)
                    return false
                }
            )
            let bytes = Array(text.utf8)
            let values = try YAMLSnapshot(data: bytes.span.bytes, providerName: path, parsingOptions: options)
            let problems = unknownKeys(keys.noted, in: path)
            guard problems.isEmpty else { throw SettingsError(problems) }
            return Source(values: values) { _ in .file(path) }
        } catch let error as SettingsError {
            throw error
        } catch {
            throw SettingsError([
                "config: the file \(path) must hold settings in YAML or JSON, such as 'quota: 10GB': \(reason(error))"
            ])
        }
    }

    /// The words of whoever read a file, up to a line that ends with a colon: after it they show the file's own lines,
    /// which may hold a secret.
    private static func reason(_ error: any Error) -> String {
        let lines = "\(error)".split(whereSeparator: \.isNewline)
        let words = lines.firstIndex { $0.hasSuffix(":") }.map { lines[...$0] } ?? lines[...]
        let reason = words.filter { $0 != "Context:" }.joined(separator: " ")
        return reason.hasSuffix(":") ? String(reason.dropLast()) : reason
    }

    private static func isContent(_ line: Substring) -> Bool {
        guard let first = line.first(where: { !$0.isWhitespace }) else { return false }
        return first != "#"
    }

    private static func unknownKeys(_ keys: [String], in path: String) -> [String] {
        keys.sorted().compactMap { key in
            switch Setting(rawValue: key) {
            case .config: "config: the file \(path) cannot name another file; give --config once"
            case .some: nil
            case nil:
                "\(key): no setting of this name (from the file \(path)); "
                    + EffectiveSettings.advice(Setting.nearest(to: key)?.rawValue)
            }
        }
    }

    private static func read(_ path: String) throws(SettingsError) -> String {
        let reason: String
        do {
            let bytes = try readFile(at: FilePath(path), limit: 1 << 20, protection: .unchangedByOthers)
            if let text = bytes.map({ String(validating: $0, as: UTF8.self) }) {
                if let text { return text }
                reason = "it must be text in UTF-8"
            } else {
                reason = Errno.noSuchFileOrDirectory.description
            }
        } catch .untrusted(let objection) {
            throw SettingsError(["config: \(objection)"])
        } catch {
            reason = error.description
        }
        throw SettingsError(["config: the file \(path) cannot be read: \(reason)"])
    }
}

/// Collects the keys that a file holds.
private final class KeyRecorder: Sendable {
    private let keys = Mutex<[String]>([])

    func note(_ key: String) { keys.withLock { $0.append(key) } }

    var noted: [String] { keys.withLock { $0 } }
}
