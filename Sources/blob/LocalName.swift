// The names that downloads get in a folder, where a stranger may have proposed them.

import BlobCore

enum LocalName {
    private static let mostBytes = 255

    /// A name in the folder itself, without the directory part that was proposed, as ``safe(_:trusting:)`` makes it.
    /// The digest where nothing is left, or more than a file system takes.
    static func text(_ proposed: String?, of digest: BlobDigest, trusting: Bool = false) -> String {
        // By scalars: a slash that a combining mark follows is a character of its own, and still a slash to file
        // systems.
        let scalars = (proposed ?? "").unicodeScalars
        let start = scalars.lastIndex { $0 == "/" || $0 == "\\" }.map(scalars.index(after:)) ?? scalars.startIndex
        let name = String(scalars[start...])
        guard !["", ".", ".."].contains(name), name.utf8.count <= mostBytes else { return digest.hex }
        return safe(name, trusting: trusting)
    }

    /// A name that shows what it is, and that no shell takes for a hidden file or for an option: what nobody would see
    /// becomes `_`, and a `.` or `-` at the beginning gets a `_` before it, or in its place where there is no room.
    ///
    /// - Parameter trusting: whether it may begin so.
    static func safe(_ name: String, trusting: Bool) -> String {
        let name = HiddenCharacter.replaced(in: name) { _ in "_" }
        guard !trusting, let first = name.unicodeScalars.first, first == "." || first == "-" else { return name }
        return "_" + (name.utf8.count < mostBytes ? name : String(name.unicodeScalars.dropFirst()))
    }
}
