// Why the program cannot do what it was started for.

/// A failure with one line that says what is wrong and what would be right. It ends the process with exit code 1.
struct StartFailure: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
