// What the path of a request looks like.

/// A path with names in braces: `/api/files/{id}` takes any one segment for `id`, and `/ui/{path...}` as many as there
/// are, or none. Written as `openapi.json` writes it.
struct PathPattern: Sendable {
    private enum Segment {
        case literal([UInt8])
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

        var name: String? {
            switch self {
            case .literal: nil
            case .one(let name), .rest(let name): name
            }
        }
    }

    private static let slash = UInt8(ascii: "/")

    let text: String
    private let segments: [Segment]
    /// The words before the first name, each with its slash: what most patterns are told apart by.
    private let beginning: [UInt8]
    /// The segments from the first name on.
    private let remainder: ArraySlice<Segment>
    private let names: [String]

    /// - Precondition: the text begins with a slash, and a name for all that is left stands at its end.
    init(_ text: String) {
        precondition(text.first == "/", "'\(text)' does not begin with a slash")
        self.text = text
        segments = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
            guard part.first == "{", part.last == "}" else { return .literal(Array(part.utf8)) }
            let name = part.dropFirst().dropLast()
            return name.hasSuffix("...") ? .rest(String(name.dropLast(3))) : .one(String(name))
        }
        for segment in segments.dropLast() {
            if case .rest = segment { preconditionFailure("'\(text)' goes on after all that is left") }
        }
        let words = segments.prefix { $0.name == nil }
        beginning = words.flatMap { if case .literal(let word) = $0 { [Self.slash] + word } else { [UInt8]() } }
        remainder = segments[words.endIndex...]
        names = segments.compactMap(\.name)
    }

    /// The values of the names in a path as it came, percent-encoded; `nil` for any other path.
    func match(_ path: Substring) -> Captures? {
        let found = path.utf8.withContiguousStorageIfAvailable(parts(of:))
        guard let parts = found ?? Array(path.utf8).withUnsafeBufferPointer(parts(of:)) else { return nil }
        var captures = Captures()
        for (name, part) in zip(names, parts) {
            let start = path.utf8.index(path.startIndex, offsetBy: part.lowerBound)
            captures.add(name, path[start..<path.utf8.index(start, offsetBy: part.count)])
        }
        return captures
    }

    /// Where in a path the values of the names are; `nil` where the path is another. It is looked at for every request
    /// and most patterns: by bytes, and without an allocation where there is no name.
    private func parts(of path: UnsafeBufferPointer<UInt8>) -> [Range<Int>]? {
        guard path.starts(with: beginning) else { return nil }
        var parts: [Range<Int>] = []
        var position = beginning.count
        for segment in remainder {
            if case .rest = segment, position == path.count { return parts + [position..<position] }
            guard position < path.count, path[position] == Self.slash else { return nil }
            let start = position + 1
            position = path[start...].firstIndex(of: Self.slash) ?? path.count
            switch segment {
            case .rest: return parts + [start..<path.count]
            case .one: parts.append(start..<position)
            case .literal(let word): guard path[start..<position].elementsEqual(word) else { return nil }
            }
        }
        return position == path.count ? parts : nil
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
