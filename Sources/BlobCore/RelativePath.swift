// The path of a file in the folder that it came from, as its uploader gave it.

/// A relative path: UTF-8 of 1 to 1024 bytes, segments with `/` between them, none of them empty, `.` or `..`, and
/// nothing in it that a reader would not see. It leads nowhere but down.
public struct RelativePath: Hashable, Sendable {
    /// The longest path, in bytes of UTF-8.
    public static let maximumByteCount = 1024

    public let text: String

    /// Why a text is no path.
    public enum Fault: Equatable, Sendable {
        case tooLong
        case hidden(HiddenCharacter)
        /// A segment is empty, `.` or `..`.
        case segment
    }

    /// - Throws: ``BlobError/Reason/pathInvalid(_:)`` for anything else.
    public init(parsing text: String) throws(BlobError) {
        guard text.utf8.count <= Self.maximumByteCount else {
            throw BlobError(.pathInvalid(.tooLong))
        }
        if let hidden = HiddenCharacter.first(in: text) { throw BlobError(.pathInvalid(.hidden(hidden))) }
        // By bytes: a slash that a combining mark follows is a character of its own, and still a slash to file systems.
        let segments = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard segments.allSatisfy({ !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }) else {
            throw BlobError(.pathInvalid(.segment))
        }
        self.text = text
    }

    /// Takes over a path that was parsed before, such as one read back from a catalog. Earlier versions took characters
    /// that are refused now.
    public init(trusted text: String) {
        self.text = text
    }
}

extension RelativePath: CustomStringConvertible {
    public var description: String { text }
}
