// Whether the words of the command line are known.

/// Makes sure that a program knows what it was asked to do. To be called before anything else: where `/proc` is not
/// mounted, libdispatch ends the process soon after it has started a thread.
///
/// A process always has its own name as the first word. Swift's runtime reads the words from `/proc/self/cmdline`, and
/// where `/proc` is not mounted it finds none: every command line would look like the one without a command.
public func requireCommandLine(_ words: [String] = CommandLine.arguments) throws(MissingCommandLine) {
    guard words.isEmpty else { return }
    throw MissingCommandLine()
}

public struct MissingCommandLine: Error, CustomStringConvertible {
    public var description: String {
        "the command line cannot be read, because /proc is not mounted here: mount it ('mount -t proc proc /proc', in a "
            + "chroot on its own proc folder), and run this again"
    }
}
