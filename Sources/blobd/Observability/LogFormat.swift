// How a line of the log is written: as text for people or as JSON for programs.

import Logging

/// The form of the log's lines.
enum LogFormat: String, SettingChoice {
    /// `TIME LEVEL MESSAGE KEY=VALUE…`
    case text
    /// One JSON object a line.
    case json
}

/// What one line tells.
struct LogEntry: Sendable {
    let time: LogTime
    let level: Logger.Level
    let message: String
    /// In the order of the keys, so that lines of one kind look alike.
    let metadata: [(key: String, value: Logger.MetadataValue)]

    /// The line with its end, as UTF-8. Whatever a client sent, it is one line, and no value looks like a key.
    func line(_ format: LogFormat) -> [UInt8] {
        var line = LogLine()
        switch format {
        case .text: text(&line)
        case .json: json(&line)
        }
        line.append(UInt8(ascii: "\n"))
        return line.bytes
    }

    private func text(_ line: inout LogLine) {
        line.append(time)
        line.append(UInt8(ascii: " "))
        line.append(level.rawValue)
        line.append(UInt8(ascii: " "))
        line.appendEscaped(message, .text)
        for (key, value) in metadata {
            line.append(UInt8(ascii: " "))
            line.appendWord(key)
            line.append(UInt8(ascii: "="))
            line.appendWord(value.plainText)
        }
    }

    private func json(_ line: inout LogLine) {
        line.append(#"{"time":""#)
        line.append(time)
        line.append(#"","level":""#)
        line.append(level.rawValue)
        line.append(#"","message":"#)
        line.appendQuoted(message, .json)
        for (key, value) in metadata {
            line.appendMember(Self.ownKeys.contains(key) ? key + "_" : key, value)
        }
        line.append(UInt8(ascii: "}"))
    }

    /// The keys that every line has, which metadata cannot take.
    private static let ownKeys: Set<String> = ["time", "level", "message"]
}

extension Logger.MetadataValue {
    fileprivate var plainText: String {
        switch self {
        case .string(let text): text
        default: description
        }
    }
}
