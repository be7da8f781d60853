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
            line.append(UInt8(ascii: ","))
            line.appendQuoted(Self.ownKeys.contains(key) ? key + "_" : key, .json)
            line.append(UInt8(ascii: ":"))
            line.appendJSON(value)
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

/// A line as it is being written.
private struct LogLine {
    enum Escaping {
        case text
        case json
    }

    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(256) }

    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func append(_ time: LogTime) { time.append(to: &bytes) }

    /// A word as it is, or in quotes when it would not look like one word.
    mutating func appendWord(_ text: String) {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
                    && byte != UInt8(ascii: "\\")
            }
        if isPlain { append(text) } else { appendQuoted(text, .text) }
    }

    mutating func appendQuoted(_ text: String, _ escaping: Escaping) {
        append(UInt8(ascii: "\""))
        appendEscaped(text, escaping)
        append(UInt8(ascii: "\""))
    }

    /// Text with everything escaped that could end the line, the string, or the reader's trust in the screen.
    mutating func appendEscaped(_ text: String, _ escaping: Escaping) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                append(UInt8(ascii: "\\"))
                append(UInt8(ascii: scalar))
            case "\n": append(#"\n"#)
            case "\r": append(#"\r"#)
            case "\t": append(#"\t"#)
            case " "..."~": append(UInt8(ascii: scalar))
            default:
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse:
                    appendNumber(of: scalar, escaping)
                default: bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                }
            }
        }
    }

    private mutating func appendNumber(of scalar: Unicode.Scalar, _ escaping: Escaping) {
        switch escaping {
        case .text:
            append(#"\u{"# + String(scalar.value, radix: 16) + "}")
        case .json:
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                append(#"\u"# + String(repeating: "0", count: 4 - digits.count) + digits)
            }
        }
    }

    mutating func appendJSON(_ value: Logger.MetadataValue) {
        switch value {
        case .string(let text): appendQuoted(text, .json)
        case .stringConvertible(let value):
            switch value {
            case let number as Int: append(String(number))
            case let number as Int64: append(String(number))
            case let number as Double where number.isFinite: append(String(number))
            case let truth as Bool: append(String(truth))
            default: appendQuoted(value.description, .json)
            }
        case .array(let values):
            append(UInt8(ascii: "["))
            for (position, value) in values.enumerated() {
                if position > 0 { append(UInt8(ascii: ",")) }
                appendJSON(value)
            }
            append(UInt8(ascii: "]"))
        case .dictionary(let values):
            append(UInt8(ascii: "{"))
            for (position, (key, value)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
                if position > 0 { append(UInt8(ascii: ",")) }
                appendQuoted(key, .json)
                append(UInt8(ascii: ":"))
                appendJSON(value)
            }
            append(UInt8(ascii: "}"))
        }
    }
}
