// The name that a download gets in a folder, where a stranger has proposed one.

import BlobCore

enum LocalName {
    private static let mostBytes = 255

    /// A name in the folder itself, which no shell takes for a hidden file or for an option: a directory part is
    /// dropped, control characters become `_`, and a `.` or `-` at the beginning gets a `_` before it. The digest where
    /// nothing is left, or more than a file system takes.
    static func text(_ proposed: String?, of digest: BlobDigest) -> String {
        // By scalars: a slash that a combining mark follows is a character of its own, and still a slash to file
        // systems.
        let scalars = (proposed ?? "").unicodeScalars
        let start = scalars.lastIndex { $0 == "/" || $0 == "\\" }.map(scalars.index(after:)) ?? scalars.startIndex
        var name = String.UnicodeScalarView()
        for scalar in scalars[start...] { name.append(scalar.properties.generalCategory == .control ? "_" : scalar) }
        let text = String(name)
        guard !["", ".", ".."].contains(text) else { return digest.hex }
        let isSafe = name.first != "." && name.first != "-"
        let safe = isSafe ? text : "_" + text
        return safe.utf8.count <= mostBytes ? safe : digest.hex
    }
}
