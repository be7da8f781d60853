// What a command tells whoever runs it when it cannot do its work.

/// A failure with one line, or a sentence, that says what is wrong and what would be right. It may name paths, settings
/// and commands: no client ever hears it.
public struct OperatorError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
