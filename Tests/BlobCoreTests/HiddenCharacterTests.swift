// Which characters nobody would see, and where they belong all the same.

import BlobCore
import Testing

@Suite struct HiddenCharacterTests {
    @Test(
        "what steers the direction, has no width or is no text, anywhere",
        arguments: [
            ("\u{202E}", "U+202E RIGHT-TO-LEFT OVERRIDE"), ("\u{202A}", "U+202A LEFT-TO-RIGHT EMBEDDING"),
            ("\u{2066}", "U+2066 LEFT-TO-RIGHT ISOLATE"), ("\u{2069}", "U+2069 POP DIRECTIONAL ISOLATE"),
            ("\u{200E}", "U+200E LEFT-TO-RIGHT MARK"), ("\u{200F}", "U+200F RIGHT-TO-LEFT MARK"),
            ("\u{61C}", "U+061C ARABIC LETTER MARK"), ("\u{200B}", "U+200B ZERO WIDTH SPACE"),
            ("\u{2060}", "U+2060 WORD JOINER"), ("\u{2064}", "U+2064 INVISIBLE PLUS"),
            ("\u{206A}", "U+206A INHIBIT SYMMETRIC SWAPPING"), ("\u{FEFF}", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
            ("\u{AD}", "U+00AD SOFT HYPHEN"), ("\u{34F}", "U+034F COMBINING GRAPHEME JOINER"),
            ("\u{180E}", "U+180E MONGOLIAN VOWEL SEPARATOR"), ("\u{3164}", "U+3164 HANGUL FILLER"),
            ("\u{E0001}", "U+E0001 LANGUAGE TAG"), ("\u{E0041}", "U+E0041 TAG LATIN CAPITAL LETTER A"),
            ("\u{2028}", "U+2028 LINE SEPARATOR"), ("\u{2029}", "U+2029 PARAGRAPH SEPARATOR"),
            ("\u{A}", "U+000A LINE FEED"), ("\u{1B}", "U+001B ESCAPE"), ("\u{7F}", "U+007F DELETE"),
            ("\u{80}", "U+0080 CONTROL CHARACTER"), ("\u{9B}", "U+009B CONTROL CHARACTER"),
            ("\u{0}", "U+0000 NULL"), ("\u{FFF9}", "U+FFF9 INTERLINEAR ANNOTATION ANCHOR"),
            ("\u{FFFE}", "U+FFFE NONCHARACTER"), ("\u{FFFF}", "U+FFFF NONCHARACTER"),
            ("\u{10FFFF}", "U+10FFFF NONCHARACTER"), ("\u{FFF0}", "U+FFF0 UNASSIGNED"),
        ] as [(Unicode.Scalar, String)])
    func hidden(scalar: Unicode.Scalar, description: String) {
        for text in ["\(scalar)", "a\(scalar)b", "مـ\(scalar)م", "👩\(scalar)👩", "क्\(scalar)ष", "a\(scalar)"] {
            let found = HiddenCharacter.first(in: text)
            #expect(found?.scalar == scalar && found?.description == description, "\(text.debugDescription)")
        }
    }

    @Test(
        "what shows, and what belongs to words and emoji",
        arguments: [
            "", "report.pdf", "تقرير.pdf", "报告.txt", "\u{FFFD}", "\u{E000}", "a\u{A0}b", "e\u{301}", "؀123",
            "葛\u{E0100}.txt",
            // Persian, with suffixes at letters, numbers and foreign words; Urdu, Sorani, Syriac.
            "می\u{200C}خواهم.txt", "۲۰\u{200C}ساله", "PDF\u{200C}ها", "خانه\u{200C}ای", "ب\u{200D}ه",
            // Hindi, Marathi, Sinhala, Malayalam, also in the old spelling that ends with a joiner, Bengali, Kannada.
            "क्\u{200C}ष", "क्\u{200D}ष", "र\u{94D}\u{200D}य", "ක්\u{200D}ෂ", "അവന്\u{200D}.txt", "অ্\u{200D}যা",
            "ಕ್\u{200C}ಷ",
            // Mongolian variants.
            "ᠠ\u{180B}ᠢ",
            "👩\u{200D}👩\u{200D}👧\u{200D}👦", "❤\u{FE0F}\u{200D}🔥", "🧑🏽\u{200D}🚀", "🏳\u{FE0F}\u{200D}🌈", "☎\u{FE0E}",
            "©\u{FE0F}",
            "1\u{FE0F}\u{20E3}", "#\u{FE0F}\u{20E3}", "🏴\u{200D}☠\u{FE0F}",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}.png",
            "🏴\u{E0075}\u{E0073}\u{E0074}\u{E0078}\u{E007F}",
        ])
    func seen(text: String) {
        #expect(HiddenCharacter.first(in: text) == nil)
    }

    @Test(
        "the same where they join nothing",
        arguments: [
            "\u{200C}می", "می\u{200C}", "می\u{200C}\u{200C}خواهم", "می\u{200C}.txt", "می \u{200C}خواهم", "a\u{200C}b",
            "a\u{200D}b", "\u{200D}", "\u{200D}a", "👩\u{200D}", "👩\u{200D}.png", "\u{200D}👩", "👩\u{200D}\u{200D}👩",
            "1\u{200D}2", "a\u{200D}👩", "می\u{200C}\u{200D}خواهم", "x/\u{200D}y",
            "\u{FE0F}", "a\u{FE0F}", "1\u{FE0F}", "1\u{FE0F}a", "👩\u{FE0F}\u{FE0F}", "/\u{FE0F}", "a\u{E0100}",
            "a\u{180B}",
            "🏴\u{E0067}\u{E0062}", "🏴\u{E0067}\u{E0062}.png", "🏴\u{E007F}", "👩\u{E0067}\u{E0062}\u{E0065}\u{E007F}",
            "\u{E0067}\u{E0062}\u{E0065}\u{E007F}",
            "🏴" + String(repeating: "\u{E0061}", count: 8) + "\u{E007F}",
        ])
    func outOfPlace(text: String) {
        #expect(HiddenCharacter.first(in: text) != nil)
    }

    @Test func replacing() {
        let text = "a\u{202E}می\u{200C}خ\u{200C}\u{1B}"
        #expect(HiddenCharacter.replaced(in: text) { _ in "_" } == "a_می\u{200C}خ__")
        #expect(HiddenCharacter.replaced(in: "plain") { _ in "_" } == "plain")
    }

    /// What is left when the ones that hide are gone hides nothing, so that a name that was mended once is right.
    @Test func mended() {
        let some: [Unicode.Scalar] = [
            "a", "م", "1", "#", ".", "\u{200C}", "\u{200D}", "\u{FE0F}", "\u{20E3}", "👩", "🏴", "\u{E0067}", "\u{E007F}",
            "क",
            "\u{94D}", "\u{202E}", "葛", "\u{E0100}", "\u{1B}", "ᠠ", "\u{180B}", "\u{115F}",
        ]
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...9, using: &generator) {
                if let scalar = some.randomElement(using: &generator) { text.append(scalar) }
            }
            let mended = HiddenCharacter.replaced(in: String(text)) { _ in "_" }
            #expect(HiddenCharacter.first(in: mended) == nil, "\(String(text).debugDescription)")
        }
    }
}
