// Patterns for the names and paths of files, as shells have them.

import ArgumentParser
import BlobClient

/// A pattern with `*` for any characters, `?` for one, `[a-z]` and `[!a-z]` for one of some, and `\` before a character
/// that stands for itself.
///
/// Without a `/` it is held against a file's name. With one it is held against its whole path, in which `*`, `?` and
/// `[…]` stand for no `/`, and `**` for any characters. A `[` without its `]` stands for itself.
struct FilePattern: Sendable, ExpressibleByArgument {
    private enum Token {
        case literal(Character)
        case one
        case set([ClosedRange<Character>], isNegated: Bool)
        case run
        case pathRun

        var isRun: Bool {
            switch self {
            case .run, .pathRun: true
            default: false
            }
        }

        func takes(_ character: Character) -> Bool {
            switch self {
            case .literal(let own): own == character
            case .one, .run: character != "/"
            case .set(let ranges, let isNegated):
                character != "/" && ranges.contains { $0.contains(character) } != isNegated
            case .pathRun: true
            }
        }
    }

    let text: String
    private let tokens: [Token]
    /// Whether it is held against paths.
    let isForPaths: Bool

    init?(argument: String) {
        if argument.isEmpty { return nil }
        self.init(argument)
    }

    init(_ text: String) {
        self.text = text
        isForPaths = text.contains("/")
        var tokens: [Token] = []
        var rest = text[...]
        while let character = rest.popFirst() {
            switch character {
            case "*":
                tokens.append(rest.first == "*" ? .pathRun : .run)
                rest = rest.drop { $0 == "*" }
            case "?": tokens.append(.one)
            case "[":
                if let (set, end) = Self.set(rest) {
                    tokens.append(set)
                    rest = end
                } else {
                    tokens.append(.literal(character))
                }
            case "\\": tokens.append(.literal(rest.popFirst() ?? character))
            default: tokens.append(.literal(character))
            }
        }
        self.tokens = tokens
    }

    /// - Parameter text: the characters after the `[`.
    /// - Returns: also the characters after the `]`; `nil` when there is none.
    private static func set(_ text: Substring) -> (Token, Substring)? {
        var rest = text
        let isNegated = rest.first == "!" || rest.first == "^"
        if isNegated { rest.removeFirst() }
        var ranges: [ClosedRange<Character>] = []
        while let first = rest.popFirst() {
            // At the beginning it is one of the characters: POSIX, "RE Bracket Expression".
            if first == "]" && !ranges.isEmpty { return (.set(ranges, isNegated: isNegated), rest) }
            var last = first
            if rest.first == "-", let end = rest.dropFirst().first, end != "]", first <= end {
                rest.removeFirst(2)
                last = end
            }
            ranges.append(first...last)
        }
        return nil
    }

    /// All places of the pattern that the text can have reached are followed together, so that its time is bounded by
    /// the product of both lengths.
    func matches(_ text: String) -> Bool {
        var reached = [Bool](repeating: false, count: tokens.count + 1)
        reached[0] = true
        passRuns(&reached)
        for character in text {
            var next = [Bool](repeating: false, count: tokens.count + 1)
            for (place, token) in tokens.enumerated() where reached[place] && token.takes(character) {
                next[token.isRun ? place : place + 1] = true
            }
            passRuns(&next)
            reached = next
        }
        return reached[tokens.count]
    }

    /// A run may stand for nothing.
    private func passRuns(_ reached: inout [Bool]) {
        for (place, token) in tokens.enumerated() where reached[place] && token.isRun { reached[place + 1] = true }
    }

    /// The longest text that every name of a match holds, for a server to look for; `nil` when there is none, or when
    /// it is for paths.
    var heldText: String? {
        if isForPaths { return nil }
        var (longest, current) = ("", "")
        for token in tokens {
            // Others may be written in several ways, which a server tells apart.
            if case .literal(let character) = token, let byte = character.asciiValue, byte >= 0x20, byte < 0x7F {
                current.append(character)
            } else {
                current = ""
            }
            if current.utf8.count > longest.utf8.count { longest = current }
        }
        return longest.isEmpty ? nil : longest
    }

    func matches(_ file: StoredFile) -> Bool {
        (isForPaths ? file.path ?? file.name : file.name).map(matches) ?? false
    }
}
