// Text for people that takes the room it seems to take, whatever is in a file's name.

import BlobCore

/// Text that a terminal can be given: all that is in it shows, and its width is known.
enum DisplayText {
    /// The text with everything escaped that would move the cursor, change colours, turn the direction of the text
    /// after it, or not be seen: such as `\u{202e}`, as the server's log writes it.
    static func safe(_ text: some StringProtocol) -> String {
        HiddenCharacter.replaced(in: text) { hidden in
            switch hidden.scalar {
            case "\n": #"\n"#
            case "\r": #"\r"#
            case "\t": #"\t"#
            default: #"\u{"# + String(hidden.scalar.value, radix: 16) + "}"
            }
        }
    }

    /// How many columns the text takes; more rather than less where terminals differ.
    static func width(_ text: some StringProtocol) -> Int {
        text.unicodeScalars.reduce(0) { $0 + width($1) }
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        if scalar.value < 0x300 { return scalar.value == 0xAD ? 0 : 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark:
            // It makes the character before it wide in some terminals.
            return scalar.value == 0xFE0F ? 1 : 0
        case .format: return 0
        default: return isWide(scalar) ? 2 : 1
        }
    }

    /// Unicode Standard Annex #11, in ranges that hold all wide characters.
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x1F200...0x1F2FF,
            0x20000...0x3FFFD:
            true
        default: scalar.properties.isEmojiPresentation
        }
    }

    /// The text in exactly `columns` columns: filled up with spaces, or its middle cut out, which leaves the end, where
    /// the kind of a file is told.
    static func fitted(_ text: String, to columns: Int) -> String {
        let text = safe(text)
        let width = width(text)
        let cut = width <= columns ? text : shortened(text, to: columns)
        let filling = String(repeating: " ", count: max(0, columns - Self.width(cut)))
        return isolated(cut) + filling
    }

    /// The text in at most `columns` columns, the rest of it cut off.
    static func clipped(_ text: String, to columns: Int) -> String {
        width(text) <= columns ? text : start(of: text, columns: max(0, columns - 1)) + (columns > 0 ? "…" : "")
    }

    private static func shortened(_ text: String, to columns: Int) -> String {
        guard columns > 1 else { return String(repeating: "…", count: max(0, columns)) }
        let first = start(of: text, columns: columns / 2)
        var (rest, last) = (columns - 1 - width(first), Substring())
        for index in text.indices.reversed() {
            rest -= width(text[index...index])
            if rest < 0 { break }
            last = text[index...]
        }
        return first + "…" + last
    }

    /// By characters, so that no mark is torn from its letter.
    private static func start(of text: String, columns: Int) -> String {
        var (rest, end) = (columns, text.startIndex)
        for index in text.indices {
            rest -= width(text[index...index])
            if rest < 0 { break }
            end = text.index(after: index)
        }
        return String(text[..<end])
    }

    /// Keeps a name that is written from right to left from turning the numbers after it (Unicode Standard Annex #9).
    private static func isolated(_ text: String) -> String {
        text.unicodeScalars.contains(where: isRightToLeft) ? "\u{2068}\(text)\u{2069}" : text
    }

    private static func isRightToLeft(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x590...0x8FF, 0xFB1D...0xFDFF, 0xFE70...0xFEFF, 0x10800...0x10FFF, 0x1E800...0x1EFFF: true
        default: false
        }
    }
}

extension DisplayText {
    /// A time that passed or is left: `0:07`, `12:34`, `1:02:03`.
    static func time(_ duration: Duration) -> String {
        let seconds = Int(clamping: max(0, duration.components.seconds))
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        if hours == 0 { return "\(minutes):\(twoDigits(rest))" }
        return hours > 999 ? "long" : "\(hours):\(twoDigits(minutes)):\(twoDigits(rest))"
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
