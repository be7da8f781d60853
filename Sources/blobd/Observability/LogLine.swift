// The text of one line of a log, escaped so that it stays one line whatever it tells.

import Logging

/// A line as it is being written.
struct LogLine {
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

    /// One more member of a JSON object.
    mutating func appendMember(_ key: String, _ value: Logger.MetadataValue) {
        append(UInt8(ascii: ","))
        appendQuoted(key, .json)
        append(UInt8(ascii: ":"))
        appendJSON(value)
    }

    private mutating func appendJSON(_ value: Logger.MetadataValue) {
        switch value {
        case .string(let text): appendQuoted(text, .json)
        case .stringConvertible(let value):
            switch value {
            case let number as Int: append(String(number))
            case let number as Int64: append(String(number))
            case let number as UInt32: append(String(number))
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
