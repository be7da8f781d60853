// The characters that no name may hold, since whoever reads the name would not see them.

/// A character that shows nothing where it stands, or that turns or breaks the text around it: with it a name looks
/// like another one.
///
/// These are all control characters, separators of lines and paragraphs, noncharacters, and the code points that
/// Unicode says to ignore where they are not understood (`Default_Ignorable_Code_Point`): those that steer the
/// direction of text, spaces without width, fillers, tags. Some of them belong to words or emoji, and are no fault
/// there:
///
/// - U+200C and U+200D between two letters, marks or digits, one of them of a script that joins its letters, such as
///   Arabic or Devanagari; U+200D after a virama (RFC 5892, A.1 and A.2), and between two emoji;
/// - variation selectors behind an emoji, an ideograph or a Mongolian letter, and before a keycap;
/// - the tags that make a black flag that of a region.
public struct HiddenCharacter: Hashable, Sendable {
    public let scalar: Unicode.Scalar

    package init(scalar: Unicode.Scalar) {
        self.scalar = scalar
    }

    /// The first one of a text.
    public static func first(in text: String) -> HiddenCharacter? {
        if isPlain(text) { return nil }
        let scalars = Array(text.unicodeScalars)
        return places(in: scalars).first.map { HiddenCharacter(scalar: scalars[$0]) }
    }

    /// The text with something else in the place of each.
    public static func replaced(
        in text: some StringProtocol, by replacement: (HiddenCharacter) -> String
    ) -> String {
        if isPlain(text) { return String(text) }
        let scalars = Array(text.unicodeScalars)
        var (result, rest) = (String.UnicodeScalarView(), scalars[...])
        for place in places(in: scalars) {
            result += rest[..<place]
            result += replacement(HiddenCharacter(scalar: scalars[place])).unicodeScalars
            rest = scalars[(place + 1)...]
        }
        return String(result + rest)
    }

    /// Where they are.
    ///
    /// - Parameter scalars: `nil` for something that is no character.
    package static func places(in scalars: [Unicode.Scalar?]) -> [Int] {
        var (places, flagEnd) = ([Int](), 0)
        for (place, scalar) in scalars.enumerated() {
            guard let scalar else { continue }
            if scalar == Flag.base { flagEnd = place + 1 + Flag.tagCount(scalars[(place + 1)...]) }
            if mayHide(scalar), place >= flagEnd, !Neighbours(of: place, in: scalars).show(scalar) {
                places.append(place)
            }
        }
        return places
    }

    private static func isPlain(_ text: some StringProtocol) -> Bool {
        text.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
    }

    private static func mayHide(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7F { return scalar.value < 0x20 }
        let properties = scalar.properties
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return true
        default:
            return properties.isDefaultIgnorableCodePoint || properties.isNoncharacterCodePoint
                // Interlinear annotations.
                || (0xFFF9...0xFFFB).contains(scalar.value)
        }
    }
}

/// Such as `U+202E RIGHT-TO-LEFT OVERRIDE`.
extension HiddenCharacter: CustomStringConvertible {
    public var description: String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        let code = "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return "\(code) \(name)"
    }

    private var name: String {
        let properties = scalar.properties
        if let name = properties.name { return name }
        if properties.isNoncharacterCodePoint { return "NONCHARACTER" }
        // Control characters have no names in Unicode, which gives these as their aliases.
        return switch scalar.value {
        case 0x00: "NULL"
        case 0x09: "CHARACTER TABULATION"
        case 0x0A: "LINE FEED"
        case 0x0D: "CARRIAGE RETURN"
        case 0x1B: "ESCAPE"
        case 0x7F: "DELETE"
        default: properties.generalCategory == .control ? "CONTROL CHARACTER" : "UNASSIGNED"
        }
    }
}

/// What stands beside a character.
private struct Neighbours {
    private let beforeLast: Unicode.Scalar?
    private let before: Unicode.Scalar?
    private let after: Unicode.Scalar?

    init(of place: Int, in scalars: [Unicode.Scalar?]) {
        beforeLast = place > 1 ? scalars[place - 2] : nil
        before = place > 0 ? scalars[place - 1] : nil
        after = place + 1 < scalars.count ? scalars[place + 1] : nil
    }

    /// Whether the character between them shows.
    func show(_ scalar: Unicode.Scalar) -> Bool {
        guard let before else { return false }
        return switch scalar.value {
        case 0x200C: isInWord
        case 0x200D: isInWord || before.properties.canonicalCombiningClass == .virama || isInEmoji
        case 0xFE0E...0xFE0F: before.isPictograph || before.isKey && after == "\u{20E3}"
        case 0xFE00...0xFE0D, 0xE0100...0xE01EF: before.properties.isIdeographic
        case 0x180B...0x180D, 0x180F: (0x1820...0x18AA).contains(before.value)
        default: false
        }
    }

    private var isInWord: Bool {
        guard let before, let after else { return false }
        return before.isOfWord && after.isOfWord && (before.isOfJoiningScript || after.isOfJoiningScript)
    }

    private var isInEmoji: Bool {
        guard let before, let after, after.isPictograph else { return false }
        return before.isPictograph || before == "\u{FE0F}" && beforeLast?.isPictograph ?? false
    }
}

/// Unicode Technical Standard #51, ED-14a: a black flag, the tags of a region, and the tag that ends them.
private enum Flag {
    static let base: Unicode.Scalar = "\u{1F3F4}"
    private static let end: Unicode.Scalar = "\u{E007F}"
    /// A country, and what it calls the region: more tags would be a text of their own.
    private static let tagCounts = 3...7

    /// How many of the characters belong to a flag before them.
    static func tagCount(_ scalars: ArraySlice<Unicode.Scalar?>) -> Int {
        let tags = scalars.prefix { scalar in
            scalar.map { (0xE0030...0xE0039).contains($0.value) || (0xE0061...0xE007A).contains($0.value) } ?? false
        }
        return tagCounts.contains(tags.count) && scalars.dropFirst(tags.count).first == end ? tags.count + 1 : 0
    }
}

extension Unicode.Scalar {
    /// Scripts of which some letters change their form beside others.
    private static let joiningScripts: [ClosedRange<UInt32>] = [
        // Arabic, Syriac, N'Ko, and those of India and Sri Lanka.
        0x0600...0x0DFF,
        // Tibetan and Myanmar; from the Philippine ones by Khmer and Mongolian to Batak.
        0x0F00...0x109F, 0x1700...0x1BFF,
        // Phags-pa, Saurashtra, Javanese, Myanmar, Meetei Mayek.
        0xA800...0xA9FF, 0xAA60...0xAA7F, 0xAAE0...0xAAFF, 0xABC0...0xABFF,
        // Hanifi Rohingya, those that come of Brahmi, Adlam.
        0x10D00...0x10D3F, 0x11000...0x11FFF, 0x1E900...0x1E95F,
    ]

    fileprivate var isOfJoiningScript: Bool { Self.joiningScripts.contains { $0.contains(value) } }

    fileprivate var isOfWord: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .decimalNumber:
            !properties.isDefaultIgnorableCodePoint
        default: false
        }
    }

    /// Whether it is an emoji, or stands where later versions of Unicode have new ones.
    fileprivate var isPictograph: Bool { !isASCII && properties.isEmoji || (0x1F000...0x1FAFF).contains(value) }

    /// Whether it makes a key with U+20E3.
    fileprivate var isKey: Bool { "0123456789#*".unicodeScalars.contains(self) }
}
