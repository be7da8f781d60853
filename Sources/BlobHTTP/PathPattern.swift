// What the path of a request looks like.

/// A path with names in braces: `/api/files/{id}` takes any one segment for `id`, and `/ui/{path...}` as many as there
/// are, or none. Written as `openapi.json` writes it.
struct PathPattern: Sendable {
    private enum Segment: Hashable {
        case literal(String)
        case one(String)
        case rest(String)

        /// The smaller, the more it says of the path.
        var vagueness: Int {
            switch self {
            case .literal: 0
            case .one: 1
            case .rest: 2
            }
        }
    }

    let text: String
    private let segments: [Segment]

    /// - Precondition: the text begins with a slash, and a name for all that is left stands at its end.
    init(_ text: String) {
        precondition(text.first == "/", "'\(text)' does not begin with a slash")
        self.text = text
        segments = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
            guard part.first == "{", part.last == "}" else { return .literal(String(part)) }
            let name = part.dropFirst().dropLast()
            return name.hasSuffix("...") ? .rest(String(name.dropLast(3))) : .one(String(name))
        }
        for segment in segments.dropLast() {
            if case .rest = segment { preconditionFailure("'\(text)' goes on after all that is left") }
        }
    }

    /// The values of the names in a path as it came, percent-encoded; `nil` for any other path.
    func match(_ path: Substring) -> Captures? {
        guard path.utf8.first == UInt8(ascii: "/") else { return nil }
        var captures = Captures()
        var rest: Substring? = path.dropFirst()
        for segment in segments {
            if case .rest(let name) = segment {
                captures.add(name, rest ?? "")
                return captures
            }
            guard let left = rest else { return nil }
            let end = left.utf8.firstIndex(of: UInt8(ascii: "/"))
            let part = left[..<(end ?? left.endIndex)]
            rest = end.map { left[left.utf8.index(after: $0)...] }
            switch segment {
            case .literal(let text): guard part.utf8.elementsEqual(text.utf8) else { return nil }
            case .one(let name), .rest(let name): captures.add(name, part)
            }
        }
        return rest == nil ? captures : nil
    }

    /// Whether a path that both take is this one's: words come before names.
    func precedes(_ other: PathPattern) -> Bool {
        segments.map(\.vagueness).lexicographicallyPrecedes(other.segments.map(\.vagueness))
    }
}

/// The parts of a request's path that stand for names, percent-encoded.
struct Captures: Sendable {
    private var values: [(name: String, text: Substring)] = []

    fileprivate mutating func add(_ name: String, _ text: Substring) {
        values.append((name, text))
    }

    /// - Precondition: the endpoint's path has the name.
    subscript(_ name: String) -> Substring {
        guard let value = values.first(where: { $0.name == name }) else {
            preconditionFailure("the endpoint's path has no '\(name)'")
        }
        return value.text
    }
}
