// The name of a file, as its uploader gave it.

/// A file's name: UTF-8, 1 to 255 bytes, nothing in it that a reader would not see, and no directory part.
public struct FileName: Hashable, Sendable {
    /// The longest name, in bytes of UTF-8.
    public static let maximumByteCount = 255

    public let text: String

    /// Why a text is no name.
    public enum Fault: Equatable, Sendable {
        case tooLong
        case hidden(HiddenCharacter)
        /// It is empty, `.` or `..`, or its last part is.
        case namesNothing
    }

    /// Reads a name as clients send it: a directory part before `/` or `\` is dropped.
    ///
    /// - Throws: ``BlobError/Reason/nameInvalid(_:)`` when the rest is no name.
    public init(parsing text: String) throws(BlobError) {
        guard text.utf8.count <= Self.maximumByteCount else {
            throw BlobError(.nameInvalid(.tooLong))
        }
        if let hidden = HiddenCharacter.first(in: text) { throw BlobError(.nameInvalid(.hidden(hidden))) }
        // By scalars: a slash that a combining mark follows is a character of its own, and still a slash to file
        // systems.
        let scalars = text.unicodeScalars
        let start = scalars.lastIndex { $0 == "/" || $0 == "\\" }.map(scalars.index(after:)) ?? scalars.startIndex
        let name = String(scalars[start...])
        guard !name.isEmpty, name != ".", name != ".." else {
            throw BlobError(.nameInvalid(.namesNothing))
        }
        self.text = name
    }

    /// Reads a name back that a server has told; `nil` for a text that no version would have taken. Earlier ones took
    /// characters that are refused now.
    public init?(toldBefore text: String) {
        let isOfOnePart = !text.unicodeScalars.contains { scalar in
            scalar == "/" || scalar == "\\" || scalar.properties.generalCategory == .control
        }
        guard isOfOnePart, text.utf8.count <= Self.maximumByteCount, !["", ".", ".."].contains(text) else { return nil }
        self.text = text
    }

    /// The name of a file whose uploader gave none: its digest.
    public init(_ digest: BlobDigest) {
        text = digest.hex
    }

    /// Takes over a name that was parsed before, such as one read back from a catalog. Earlier versions took characters
    /// that are refused now.
    public init(trusted text: String) {
        self.text = text
    }
}

extension FileName: CustomStringConvertible {
    public var description: String { text }
}
